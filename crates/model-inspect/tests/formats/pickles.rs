//! Pickles of every protocol, alone and behind what stands before them.

use provisioner_core::Format;

use crate::{check, told};

/// What Python's `pickle.dumps` writes of `{"a": [1, 2], "b": (None, "x")}`, protocols 0 to 5.
const BY_PROTOCOL: [&[u8]; 6] = [
    b"(dp0\nVa\np1\n(lp2\nI1\naI2\nasVb\np3\n(NVx\np4\ntp5\ns.",
    b"}q\0(X\x01\0\0\0aq\x01]q\x02(K\x01K\x02eX\x01\0\0\0bq\x03(NX\x01\0\0\0xq\x04tq\x05u.",
    b"\x80\x02}q\0(X\x01\0\0\0aq\x01]q\x02(K\x01K\x02eX\x01\0\0\0bq\x03NX\x01\0\0\0xq\x04\x86q\x05u.",
    b"\x80\x03}q\0(X\x01\0\0\0aq\x01]q\x02(K\x01K\x02eX\x01\0\0\0bq\x03NX\x01\0\0\0xq\x04\x86q\x05u.",
    b"\x80\x04\x95\x1a\0\0\0\0\0\0\0}\x94(\x8c\x01a\x94]\x94(K\x01K\x02e\x8c\x01b\x94N\x8c\x01x\x94\x86\x94u.",
    b"\x80\x05\x95\x1a\0\0\0\0\0\0\0}\x94(\x8c\x01a\x94]\x94(K\x01K\x02e\x8c\x01b\x94N\x8c\x01x\x94\x86\x94u.",
];

#[test]
fn a_pickle_of_every_protocol_is_told() {
    for (protocol, bytes) in BY_PROTOCOL.iter().enumerate() {
        check(&format!("protocol {protocol}"), bytes, Format::Pickle);
    }
}

#[test]
fn what_calls_a_function_is_a_pickle_however_it_begins() {
    for bytes in [
        b"cos\nsystem\n(S'id'\ntR.".as_slice(),
        b"cos\nsystem\n(S'id'\ntR",
        b"(S'id'\nios\nsystem\n.",
        b"(cos\nsystem\nS'id'\no.",
        b"cshelf\nopened\n)R.",
        // A loader has called by then, whatever follows.
        b"cshelf\nopened\n)R",
        b"cshelf\nopened\n)R not an opcode",
        // What a loader skips before the call.
        b"I1\n0I01\n0F1.5\n0L2L\n0Vtext\n0S'x'\n0cos\nsystem\n(S'id'\ntR.",
        // Numbers as only Python's loader in C reads them, and nothing that goes into what takes nothing.
        b"I\0x\n0I5\0 !\n0I\x0b1\n0L5\0 !\n0L1\x0bL\n0cos\nsystem\n)R.",
        // What the loader in C skips at the end of a frame.
        b"\x95\x05\0\0\0\0\0\0\0G\0\0\0\0\0\0\0\0s\x8c\x01acos\nsystem\n)R.",
        b"\x95\x02\0\0\0\0\0\0\0VaVa\n0cos\nsystem\n)R.",
        b"\x95\x03\0\0\0\0\0\0\0I??1\n0cos\nsystem\n)R.",
        b"\x95\x0a\0\0\0\0\0\0\0\x95\x02\0\0\0\0\0\0\0?N0cos\nsystem\n)R.",
        b"F\x0b1\n0cos\nsystem\n)R.",
        b"I1\np\x0b0\n0g0\0 !\n0cos\nsystem\n)R.",
        b"I1\n(e(uN(\x90cos\nsystem\n)R.",
        b"N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0cos\nsystem\n)R.",
        b"(1N200cos\nsystem\n)R.",
        b"P1\n0cos\nsystem\n)R.",
        b"\x80\0cos\nsystem\n)R.",
        b"\x80\x01N.",
        // Opcodes of a later protocol without its number.
        b"\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R.",
        b"\x8e\x04\0\0\0\0\0\0\0aaaa0\x8c\x02os\x8c\x06system\x93)R.",
        // A first pickle that does nothing, as the oldest archives of PyTorch begin.
        b"L119547037146038801333356L\n.I1001\n.ctorch\nobj\n)R.",
        b"\x80\x04\x95",
        // A loader imports what it names, before it sees that the rest is broken.
        b"cbuiltins\nexec\n(X>\nf = open('a').",
    ] {
        check(&String::from_utf8_lossy(bytes), bytes, Format::Pickle);
    }
}

#[test]
fn a_call_behind_a_long_text_is_found() {
    let long = [b"V".as_slice(), &vec![b'a'; 300_000], b"\n0cos\nsystem\n)R."].concat();
    check("a long line", &long, Format::Pickle);
    let counted =
        [b"B".as_slice(), &3_000_000_u32.to_le_bytes(), &vec![0; 3_000_000], b"0cos\nsystem\n)R."].concat();
    check("long bytes", &counted, Format::Pickle);
}

#[test]
fn a_call_behind_a_long_line_is_found() {
    let spaces = " ".repeat(3000);
    for line in [format!("I{spaces}1"), format!("S'{spaces}'"), format!("F{spaces}1")] {
        let name = line[..2].to_owned();
        check(&name, format!("{line}\n0cos\nsystem\n)R.").as_bytes(), Format::Pickle);
    }
}

#[test]
fn names_of_pickles_stand_for_themselves() {
    for name in
        ["m.pt", "m.pth", "m.ckpt", "m.pkl", "m.joblib", "m.nemo", "pytorch_model.bin", "training_args.bin"]
    {
        assert_eq!(told(name, b"not one"), Format::Pickle, "{name}");
    }
    assert_eq!(told("m.keras", b""), Format::Keras);
    assert_eq!(told("tf_model.h5", b"x"), Format::Hdf5);
    assert_eq!(told("pytorch_model.bin", b"GGUF\x03\0\0\0"), Format::Gguf);
    assert_eq!(told("m.pt", b"GGUF\x03\0\0\0"), Format::Pickle);
}

#[test]
fn compressed_pickles_are_told() {
    // Python's `gzip.compress` and `zlib.compress` of `pickle.dumps([1, 2])`, protocol 4.
    let zlib =
        b"\x78\x9c\x6b\x60\x99\x2a\xce\x00\x01\xb1\x53\x34\xbc\x19\xbd\x99\x52\xf5\x00\x2c\xd1\x05\x08";
    let gzip = [b"\x1f\x8b\x08\0\0\0\0\0\x02\xff".as_slice(), &zlib[2..]].concat();
    check("zlib", zlib, Format::Pickle);
    check("gzip", &gzip, Format::Pickle);
}
