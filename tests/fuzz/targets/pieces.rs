//! Ways to cut one input, so that a parser is seen to give the same whatever a read brings.

/// The input in one piece, byte by byte, and in pieces of any size (which ones is decided by the input).
pub fn ways(data: &[u8]) -> [Vec<&[u8]>; 3] {
    [vec![data], data.chunks(1).collect(), uneven(data)]
}

fn uneven(data: &[u8]) -> Vec<&[u8]> {
    let mix = |seed: u64, byte: &u8| (seed ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let mut seed = data.iter().fold(0xcbf2_9ce4_8422_2325, mix);
    let (mut pieces, mut rest) = (Vec::new(), data);
    while !rest.is_empty() {
        seed = mix(seed, &1);
        let size = 1 + (seed >> 33) as usize % rest.len();
        let (piece, behind) = rest.split_at(size);
        pieces.push(piece);
        rest = behind;
    }
    pieces
}
