//! Takes the mask off a client's payload (RFC 6455 section 5.3).
//!
//! Data in: bytes as they came and the frame's key. Data out: the same bytes, unmasked where they lie. It must not know
//! frames: who holds part of a payload rotates the key by what has gone before.

/// XORs `bytes` with `key` repeated, from the key's first byte on, eight bytes a step.
pub(super) fn unmask(bytes: &mut [u8], key: [u8; 4]) {
    let [a, b, c, d] = key;
    let wide = [a, b, c, d, a, b, c, d];
    let word = u64::from_ne_bytes(wide);
    let (words, tail) = bytes.as_chunks_mut::<8>();
    for eight in words {
        *eight = (u64::from_ne_bytes(*eight) ^ word).to_ne_bytes();
    }
    // At most seven bytes are left, and a whole number of keys has gone before them.
    for (byte, mask) in tail.iter_mut().zip(wide) {
        *byte ^= mask;
    }
}

/// The key for what follows after `count` bytes were unmasked with `key`.
pub(super) fn rotated(mut key: [u8; 4], count: usize) -> [u8; 4] {
    key.rotate_left(count % 4);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow(bytes: &mut [u8], key: [u8; 4]) {
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte ^= key[i % 4];
        }
    }

    fn sample(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i * 37 + 11) as u8).collect()
    }

    #[test]
    fn fast_and_slow_unmasking_agree_at_every_alignment_and_length() {
        let key = [0x12, 0x00, 0xff, 0x9a];
        for start in 0..16 {
            for len in 0..=100 {
                let mut fast = sample(start + len + 8);
                let mut twin = fast.clone();
                unmask(&mut fast[start..start + len], key);
                slow(&mut twin[start..start + len], key);
                assert_eq!(fast, twin, "start {start} length {len}");
            }
        }
    }

    #[test]
    fn a_payload_unmasked_in_two_pieces_is_the_payload_unmasked_at_once() {
        let key = [1, 2, 4, 8];
        for cut in 0..=100 {
            let mut pieces = sample(100);
            let mut whole = pieces.clone();
            let (front, back) = pieces.split_at_mut(cut);
            unmask(front, key);
            unmask(back, rotated(key, cut));
            slow(&mut whole, key);
            assert_eq!(pieces, whole, "cut {cut}");
        }
    }
}
