use std::io::Write;

use futures_util::stream;
use lz4_flex::frame::FrameEncoder;

use super::*;

/// Returns a chunk with its header.
fn chunk(version: u8, packing: u8, packed: &[u8], length: usize) -> Vec<u8> {
    let of_three = |length: usize| u32::try_from(length).unwrap().to_le_bytes()[..3].to_vec();
    [vec![version], of_three(packed.len()), vec![packing], of_three(length), packed.to_vec()].concat()
}

fn frame(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = FrameEncoder::new(Vec::new());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Reads so many chunks out of bytes that arrive in pieces of a size.
async fn read(bytes: &[u8], piece: usize, count: usize) -> Result<Vec<Bytes>, String> {
    let pieces: Vec<_> = bytes.chunks(piece).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let mut chunks = Chunks::new(Box::pin(stream::iter(pieces)), bytes.len() as u64);
    let mut unpacked = Vec::new();
    for _ in 0..count {
        let chunk = chunks.next().await.and_then(Chunk::unpacked);
        unpacked.push(chunk.map_err(|error| error.message)?);
    }
    Ok(unpacked)
}

#[tokio::test]
async fn chunks_come_whole_however_their_bytes_arrive() {
    let noise: Vec<u8> = (0..100_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    let written = [
        chunk(0, 0, b"as it is", 8),
        chunk(0, 1, &frame(&noise), noise.len()),
        // The bytes 0 to 9, in groups.
        chunk(0, 2, &frame(&[0, 4, 8, 1, 5, 9, 2, 6, 3, 7]), 10),
        chunk(0, 0, b"", 0),
    ];
    for piece in [1, 7, 1000, 1 << 20] {
        let unpacked = read(&written.concat(), piece, 4).await.unwrap();
        assert_eq!(unpacked, [&b"as it is"[..], &noise, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], b""], "{piece}");
    }
}

#[test]
fn each_rest_of_four_is_ungrouped() {
    for length in 0..9_u8 {
        let bytes: Vec<u8> = (0..length).collect();
        let groups: Vec<u8> = (0..4).flat_map(|place| bytes.iter().copied().skip(place).step_by(4)).collect();
        assert_eq!(ungrouped(&groups), bytes);
    }
}

#[tokio::test]
async fn a_chunk_that_is_damaged_is_refused() {
    let check = async |bytes: Vec<u8>, expected: &str| {
        assert_eq!(read(&bytes, 1000, 1).await, Err(format!("Xet: {expected}")));
    };
    check(chunk(1, 0, b"ab", 2), DAMAGED).await;
    check(chunk(0, 0, b"ab", 3), DAMAGED).await;
    check(chunk(0, 1, b"no frame", 8), DAMAGED).await;
    check(chunk(0, 2, &frame(b"ab"), 3), DAMAGED).await;
    check(chunk(0, 0, &vec![0; LONGEST + 1], LONGEST + 1), DAMAGED).await;
    check(chunk(0, 1, &vec![0; 2 * LONGEST + 1], 1), DAMAGED).await;
    check(chunk(0, 3, b"ab", 2), "what came is packed in an unknown way").await;
    check(chunk(0, 0, b"ab", 2)[..9].to_vec(), "a section ends early").await;
    check(Vec::new(), "a section ends early").await;
}

#[tokio::test]
async fn a_frame_is_not_inflated_past_the_stated_length() {
    let bomb = Chunk { packing: 1, packed: frame(&vec![0; 64 << 20]).into(), length: 10 };
    assert_eq!(bomb.inflated().unwrap().len(), 11);
    assert!(bomb.unpacked().is_err());
}

/// A storage need not say how many bytes it sends.
#[tokio::test]
async fn more_bytes_than_a_section_has_are_refused() {
    let empty = chunk(0, 0, b"", 0);
    let endless = stream::iter(std::iter::repeat_with(move || Ok(Bytes::from(empty.clone()))));
    let mut chunks = Chunks::new(Box::pin(endless), 80);
    for _ in 0..10 {
        assert!(chunks.next().await.is_ok());
    }
    let error = chunks.next().await.err().unwrap();
    assert_eq!(error.message, "Xet: a section has more bytes than it may");
}
