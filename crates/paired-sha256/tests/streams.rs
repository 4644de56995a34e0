//! Two streams at once have the digests that the crate `sha2` computes of each.

use paired_sha256::{Sha256, update_both};
use proptest::{collection::vec, prelude::*};
use sha2::Digest as _;

/// Returns bytes that differ with the seed.
fn bytes(seed: u8, length: usize) -> Vec<u8> {
    (0..length)
        .map(|n| {
            let [low, high, ..] = n.to_le_bytes();
            low.wrapping_mul(31).wrapping_add(seed) ^ high
        })
        .collect()
}

fn expected(bytes: &[u8]) -> [u8; 32] {
    sha2::Sha256::digest(bytes).into()
}

#[test]
fn a_stream_of_any_length_has_its_digest() {
    for length in 0..300 {
        let bytes = bytes(1, length);
        let mut stream = Sha256::new();
        stream.update(&bytes);
        assert_eq!(stream.finish(), expected(&bytes), "{length} bytes");
    }
}

proptest! {
    /// The pieces end anywhere in a block, and the streams have any lengths.
    #[test]
    fn two_streams_have_their_digests(cuts in vec((0..400_usize, 0..400_usize, any::<bool>()), 0..20)) {
        let (mut streams, mut sent) = ([Sha256::new(), Sha256::new()], [vec![], vec![]]);
        for (one, other, at_once) in cuts {
            let pieces = [bytes(3, one), bytes(5, other)];
            let [first, second] = &mut streams;
            if at_once {
                update_both((first, &pieces[0]), (second, &pieces[1]));
            } else {
                first.update(&pieces[0]);
                second.update(&pieces[1]);
            }
            for (sent, piece) in sent.iter_mut().zip(pieces) {
                sent.extend(piece);
            }
        }
        for (stream, sent) in streams.into_iter().zip(sent) {
            prop_assert_eq!(stream.finish(), expected(&sent));
        }
    }
}
