//! Reads the operator's files, once, at the start: the folder of pages, keys of the application and of tokens.

use crate::config::secret::API_KEY_FORM;
use crate::config::{ApiKey, Config, Material};
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

/// The keys with those in their place that are in files: a key on each line, blanks around it and empty lines aside.
///
/// # Errors
/// A file that cannot be read, or has no key, or something else in it; named with its path.
pub fn keys(keys: &[ApiKey]) -> Result<Vec<ApiKey>, String> {
    let mut found = Vec::new();
    for key in keys {
        let ApiKey::File(path) = key else {
            found.push(key.clone());
            continue;
        };
        let text = fs::read_to_string(path).map_err(|error| format!("{key}: {error}"))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let read = |line| match ApiKey::parse(line) {
            Some(key @ ApiKey::Text(_)) => Ok(key),
            _ => Err(format!("{key}: a line is no key: {API_KEY_FORM}")),
        };
        let before = found.len();
        for line in lines {
            found.push(read(line)?);
        }
        if found.len() == before {
            return Err(format!("{key}: there is no key in it"));
        }
    }
    Ok(found)
}

/// Puts the text of their files in the place of keys of tokens that are in files. A secret ends before its line does.
///
/// # Errors
/// A file that cannot be read, or is larger than any key; named with its path.
pub fn token_keys(config: &mut Config) -> Result<(), String> {
    let keys = config.token_keys.iter_mut().map(|key| &mut key.key);
    for key in keys.chain(&mut config.token_jwks) {
        let Material::File(path) = &*key else {
            continue;
        };
        let text = fs::read_to_string(path).map_err(|error| format!("{key}: {error}"))?;
        if text.len() > KEY_BYTES_MAX {
            return Err(format!(
                "{key}: larger than any key ({} KiB)",
                KEY_BYTES_MAX >> 10
            ));
        }
        *key = Material::Text(text.trim_end_matches(['\r', '\n']).into());
    }
    Ok(())
}

fn too_large() -> io::Error {
    io::Error::other(format!(
        "the files are more than {} MiB together",
        BYTES_MAX >> 20
    ))
}

/// Pages are kept in memory.
const BYTES_MAX: usize = 64 << 20;
/// Bytes of the largest key, or set of them.
const KEY_BYTES_MAX: usize = 256 << 10;
