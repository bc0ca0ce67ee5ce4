//! Which known name a misspelt one was meant to be.
//!
//! Data in: a word, and the names there are. Data out: the nearest name, if it is near. This file
//! must not know what the names are of.

/// The name that a misspelling is nearest to, if it is near: one slip, and one more per 4 letters.
pub fn nearest(word: &str, names: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let (slips, name) = names.map(|name| (distance(word, name), name)).min()?;
    (slips <= 1 + name.len() / 4).then_some(name)
}

/// Letters to insert, delete or replace until `a` is `b` (Levenshtein), in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_must_be_near() {
        let names = || ["check", "config", "version"].into_iter();
        assert_eq!(nearest("chek", names()), Some("check"));
        assert_eq!(nearest("vresion", names()), Some("version"));
        assert_eq!(nearest("publish", names()), None);
        assert_eq!(nearest("x", [].into_iter()), None);
    }

    #[test]
    fn distance_counts_slips() {
        let cases = [
            ("", "", 0),
            ("a", "", 1),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("ab", "ba", 2),
        ];
        for (a, b, slips) in cases {
            assert_eq!((distance(a, b), distance(b, a)), (slips, slips), "{a} {b}");
        }
    }
}
