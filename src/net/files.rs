//! Reads the operator's folder of pages, once, at the start.

use crate::node::StaticFile;
use std::fs;
use std::io;
use std::path::Path;

/// Every file below `folder`, at most `BYTES_MAX` together.
///
/// # Errors
/// What the file system says, or a folder that is too large.
pub fn load(folder: &Path) -> io::Result<Vec<StaticFile>> {
    let mut files = Vec::new();
    let mut room = BYTES_MAX;
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let body = fs::read(&path)?;
            room = room.checked_sub(body.len()).ok_or_else(too_large)?;
            let name = path
                .strip_prefix(folder)
                .unwrap_or(&path)
                .to_string_lossy()
                .into_owned();
            files.push(StaticFile::new(name, body));
        }
    }
    Ok(files)
}

fn too_large() -> io::Error {
    io::Error::other(format!(
        "the files are more than {} MiB together",
        BYTES_MAX >> 20
    ))
}

/// Pages are kept in memory.
const BYTES_MAX: usize = 64 << 20;
