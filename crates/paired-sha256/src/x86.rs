//! The loop over the blocks of two streams, with the SHA instructions of x86-64.
//!
//! An instruction does two rounds, on a state that it wants as the words `abef` and `cdgh`. `w` holds the last sixteen words of
//! the message schedule, four in a register. Each step below does four rounds of either stream, and computes the words that come
//! sixteen rounds later. All of both streams fits into the sixteen registers.

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_extract_epi32, _mm_loadu_si128, _mm_set_epi32,
    _mm_set_epi64x, _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi8,
    _mm_shuffle_epi32,
};

/// The constants of the rounds, four for each step.
static K: [[u32; 4]; 16] = [
    [0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5],
    [0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5],
    [0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3],
    [0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174],
    [0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc],
    [0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da],
    [0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7],
    [0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967],
    [0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13],
    [0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85],
    [0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3],
    [0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070],
    [0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5],
    [0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3],
    [0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208],
    [0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2],
];

/// Returns whether this processor has the instructions.
pub(crate) fn has_instructions() -> bool {
    is_x86_feature_detected!("sha") && is_x86_feature_detected!("avx")
}

/// Takes as many blocks of one stream as of the other.
///
/// # Panics
/// Where the processor lacks the instructions.
#[expect(unsafe_code, reason = "only the processor can say which instructions it has")]
pub(crate) fn compress_both(states: [&mut [u32; 8]; 2], blocks: [&[[u8; 64]]; 2]) {
    assert!(has_instructions(), "no SHA instructions");
    // SAFETY: the instructions are there.
    unsafe { compress(states, blocks) }
}

/// With AVX an instruction names where its result goes, so that none is there only to move words.
#[target_feature(enable = "sha,avx")]
fn compress(states: [&mut [u32; 8]; 2], blocks: [&[[u8; 64]]; 2]) {
    let [one_state, other_state] = states;
    let (mut one, mut other) = (Rounds::of(one_state), Rounds::of(other_state));
    for (one_block, other_block) in blocks[0].iter().zip(blocks[1]) {
        let before = (one, other);
        let (mut w, mut v) = (schedule(one_block), schedule(other_block));
        // Written out, for `w` and `v` to stay in registers.
        step::<0>((&mut one, &mut w), (&mut other, &mut v));
        step::<1>((&mut one, &mut w), (&mut other, &mut v));
        step::<2>((&mut one, &mut w), (&mut other, &mut v));
        step::<3>((&mut one, &mut w), (&mut other, &mut v));
        step::<4>((&mut one, &mut w), (&mut other, &mut v));
        step::<5>((&mut one, &mut w), (&mut other, &mut v));
        step::<6>((&mut one, &mut w), (&mut other, &mut v));
        step::<7>((&mut one, &mut w), (&mut other, &mut v));
        step::<8>((&mut one, &mut w), (&mut other, &mut v));
        step::<9>((&mut one, &mut w), (&mut other, &mut v));
        step::<10>((&mut one, &mut w), (&mut other, &mut v));
        step::<11>((&mut one, &mut w), (&mut other, &mut v));
        step::<12>((&mut one, &mut w), (&mut other, &mut v));
        step::<13>((&mut one, &mut w), (&mut other, &mut v));
        step::<14>((&mut one, &mut w), (&mut other, &mut v));
        step::<15>((&mut one, &mut w), (&mut other, &mut v));
        one = one.plus(before.0);
        other = other.plus(before.1);
    }
    *one_state = one.state();
    *other_state = other.state();
}

/// The last sixteen words of a message schedule.
type Schedule = [__m128i; 4];

/// Does the rounds of a step for both streams.
#[inline]
#[target_feature(enable = "sha,avx")]
fn step<const N: usize>((one, w): (&mut Rounds, &mut Schedule), (other, v): (&mut Rounds, &mut Schedule)) {
    let k = register(K[N]);
    one.advance(_mm_add_epi32(w[N % 4], k));
    other.advance(_mm_add_epi32(v[N % 4], k));
    if N < 12 {
        w[N % 4] = next(w[N % 4], w[(N + 1) % 4], w[(N + 2) % 4], w[(N + 3) % 4]);
        v[N % 4] = next(v[N % 4], v[(N + 1) % 4], v[(N + 2) % 4], v[(N + 3) % 4]);
    }
}

/// Returns the four words of a schedule that follow sixteen.
#[inline]
#[target_feature(enable = "sha,avx")]
fn next(w0: __m128i, w1: __m128i, w2: __m128i, w3: __m128i) -> __m128i {
    _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(w0, w1), _mm_alignr_epi8(w3, w2, 4)), w3)
}

/// Returns the words of a block, which are big-endian.
#[inline]
#[target_feature(enable = "sha,avx")]
fn schedule(block: &[u8; 64]) -> Schedule {
    let (quarters, _) = block.as_chunks();
    [words(&quarters[0]), words(&quarters[1]), words(&quarters[2]), words(&quarters[3])]
}

#[inline]
#[target_feature(enable = "sha,avx")]
#[expect(unsafe_code, reason = "this Rust has no safe name for the load of bytes")]
fn words(bytes: &[u8; 16]) -> __m128i {
    let swap = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
    // SAFETY: sixteen bytes are there, and they may lie anywhere.
    let little_endian = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
    _mm_shuffle_epi8(little_endian, swap)
}

/// Holds a state as the instructions want it.
#[derive(Clone, Copy)]
struct Rounds {
    abef: __m128i,
    cdgh: __m128i,
}

impl Rounds {
    #[inline]
    #[target_feature(enable = "sha,avx")]
    fn of(state: &[u32; 8]) -> Self {
        Self {
            abef: register([state[5], state[4], state[1], state[0]]),
            cdgh: register([state[7], state[6], state[3], state[2]]),
        }
    }

    #[inline]
    #[target_feature(enable = "sha,avx")]
    fn state(self) -> [u32; 8] {
        let (abef, cdgh) = (lanes(self.abef), lanes(self.cdgh));
        [abef[3], abef[2], cdgh[3], cdgh[2], abef[1], abef[0], cdgh[1], cdgh[0]]
    }

    /// Does four rounds. Their words have the constants in them.
    #[inline]
    #[target_feature(enable = "sha,avx")]
    fn advance(&mut self, words: __m128i) {
        self.cdgh = _mm_sha256rnds2_epu32(self.cdgh, self.abef, words);
        self.abef = _mm_sha256rnds2_epu32(self.abef, self.cdgh, _mm_shuffle_epi32(words, 0x0e));
    }

    #[inline]
    #[target_feature(enable = "sha,avx")]
    fn plus(self, other: Self) -> Self {
        Self { abef: _mm_add_epi32(self.abef, other.abef), cdgh: _mm_add_epi32(self.cdgh, other.cdgh) }
    }
}

/// Returns a register of four words, the first one lowest.
#[inline]
#[target_feature(enable = "sha,avx")]
fn register(words: [u32; 4]) -> __m128i {
    let [w0, w1, w2, w3] = words;
    _mm_set_epi32(w3.cast_signed(), w2.cast_signed(), w1.cast_signed(), w0.cast_signed())
}

/// Returns the four words of a register, the lowest one first.
#[inline]
#[target_feature(enable = "sha,avx")]
fn lanes(register: __m128i) -> [u32; 4] {
    let lanes = [
        _mm_extract_epi32(register, 0),
        _mm_extract_epi32(register, 1),
        _mm_extract_epi32(register, 2),
        _mm_extract_epi32(register, 3),
    ];
    lanes.map(i32::cast_unsigned)
}
