//! Positions are read as the standard library reads numbers, never more of them than channels, and spelled back.

use orbited::mem::Position;
use orbited::service::since;

/// Panics where fast and slow disagree.
pub fn run(data: &[u8]) {
    for channels in [1, 2, 128] {
        let fast = since::parse(data, channels);
        assert_eq!(fast, slow(data, channels));
        let Some(positions) = fast.and_then(|all| all.into_iter().collect::<Option<Vec<_>>>())
        else {
            continue;
        };
        let mut text = Vec::new();
        since::spell(&mut text, positions.iter().copied());
        let again: Vec<_> = positions.into_iter().map(Some).collect();
        assert_eq!(since::parse(&text, channels), Some(again));
    }
}

fn slow(data: &[u8], channels: usize) -> Option<Vec<Option<Position>>> {
    let text = std::str::from_utf8(data).ok()?;
    let items: Vec<&str> = text.split(',').collect();
    let positions = items.iter().map(|item| match *item {
        "" => Some(None),
        item => position(item).map(Some),
    });
    let positions: Option<Vec<_>> = positions.collect();
    positions.filter(|positions| positions.len() == channels)
}

fn position(item: &str) -> Option<Position> {
    let (epoch, offset) = item.split_once(':')?;
    let number = |text: &str, radix| {
        let fits = text.len() <= 20 && !text.starts_with(['+', '-']);
        u64::from_str_radix(text, radix).ok().filter(|_| fits)
    };
    Some(Position {
        epoch: number(epoch, 16)?,
        offset: number(offset, 10)?,
    })
}
