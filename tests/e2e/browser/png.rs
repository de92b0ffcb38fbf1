//! A picture, as far as a browser's screenshots use the format (PNG specification, third edition): eight bits for
//! each of three or four colours, not interlaced.

use std::{collections::HashSet, io::Read};

use flate2::read::ZlibDecoder;

/// A picture.
pub struct Png {
    pub width: usize,
    pub height: usize,
    pixels: Vec<[u8; 3]>,
}

impl Png {
    #[track_caller]
    pub fn decode(bytes: &[u8]) -> Self {
        let mut rest = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n").expect("the signature of a PNG");
        let (mut header, mut packed) = (None, Vec::new());
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let (kind, after) = after.split_first_chunk::<4>().expect("a chunk has a type");
            let (data, after) = after.split_at(u32::from_be_bytes(*length) as usize);
            match kind {
                b"IHDR" => header = Some(data),
                b"IDAT" => packed.extend_from_slice(data),
                _ => {}
            }
            // Behind the data stands its checksum.
            rest = &after[4..];
        }
        let header = header.expect("a header");
        let number =
            |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().expect("four bytes")) as usize;
        let (width, height) = (number(0), number(4));
        let channels = match header[8..] {
            [8, 2, 0, 0, 0] => 3,
            [8, 6, 0, 0, 0] => 4,
            _ => panic!("another kind of PNG: {header:?}"),
        };
        let mut raw = Vec::new();
        ZlibDecoder::new(&packed[..]).read_to_end(&mut raw).expect("the pixels can be unpacked");
        let rows = unfilter(&raw, width * channels, channels);
        assert_eq!(rows.len(), width * height * channels, "a pixel for each place");
        let pixels = rows.chunks_exact(channels).map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
        Self { width, height, pixels }
    }

    pub fn colour(&self, x: usize, y: usize) -> [u8; 3] {
        self.pixels[y * self.width + x]
    }

    pub fn colours(&self) -> usize {
        self.pixels.iter().collect::<HashSet<_>>().len()
    }

    pub fn has(&self, colour: [u8; 3]) -> bool {
        self.pixels.contains(&colour)
    }
}

/// Each row says by its first byte from which neighbours its bytes are told ("Filtering").
fn unfilter(raw: &[u8], length: usize, channels: usize) -> Vec<u8> {
    let mut rows = Vec::new();
    let mut above = vec![0; length];
    for row in raw.chunks_exact(length + 1) {
        let mut now = row[1..].to_vec();
        for at in 0..length {
            let left = if at < channels { 0 } else { now[at - channels] };
            let corner = if at < channels { 0 } else { above[at - channels] };
            let guess = match row[0] {
                0 => 0,
                1 => left,
                2 => above[at],
                3 => u8::midpoint(left, above[at]),
                4 => paeth(left, above[at], corner),
                other => panic!("no filter has the number {other}"),
            };
            now[at] = now[at].wrapping_add(guess);
        }
        rows.extend_from_slice(&now);
        above = now;
    }
    rows
}

/// The neighbour that is nearest to left plus above minus corner.
fn paeth(left: u8, above: u8, corner: u8) -> u8 {
    let [a, b, c] = [left, above, corner].map(i16::from);
    let distance = |value: i16| (a + b - c - value).abs();
    match (distance(a), distance(b), distance(c)) {
        (a, b, c) if a <= b && a <= c => left,
        (_, b, c) if b <= c => above,
        _ => corner,
    }
}
