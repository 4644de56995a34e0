//! Archives that contradict themselves, and files that are several things at once.

use provisioner_core::Format;
use testkit::{FakeModel, ZipWriter, tar, tar_header};

use crate::{check, told};

const PICKLE: &[u8] = b"\x80\x02}q\0.";

fn harmless() -> ZipWriter {
    ZipWriter::of(&[("a.txt", b"text"), ("b.txt", b"more")])
}

fn torch() -> Vec<u8> {
    ZipWriter::of(&[("archive/data.pkl", PICKLE)]).to_bytes()
}

#[test]
fn any_end_record_may_be_the_one_that_a_loader_takes() {
    let first = torch();
    // A whole zip in the comment of another one, and behind it.
    check("in the comment", &harmless().commented(&first).to_bytes(), Format::Pickle);
    let behind = [first.clone(), harmless().to_bytes()].concat();
    check("before another one", &behind, Format::Pickle);
    check("behind another one", &[harmless().to_bytes(), first].concat(), Format::Pickle);
}

#[test]
fn a_zip_behind_or_within_weights_is_found() {
    let behind = |bytes: &[u8]| [bytes, &torch()].concat();
    check("GGUF", &behind(&FakeModel::gguf().to_bytes()), Format::Pickle);
    check("safetensors", &behind(&testkit::safetensors_of(64, 1)), Format::Pickle);
    check("a text", &behind(b"# A model\n"), Format::Pickle);
}

#[test]
fn a_directory_that_contradicts_itself_is_an_archive() {
    check("a wrong count", &harmless().counted(1).to_bytes(), Format::Archive);
    check("a huge count", &harmless().counted(0xfffe).to_bytes(), Format::Archive);
    check("shared bytes", &harmless().sharing_bytes().to_bytes(), Format::Archive);
    let mut lost = harmless().to_bytes();
    // The directory does not lie where the end record says, from the front and from the end.
    let at = lost.len() - 6;
    lost[at] ^= 1;
    lost[at - 4] ^= 1;
    check("a lost directory", &lost, Format::Archive);
    let mut moved = harmless().to_bytes();
    let entry = moved.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    moved[entry + 42] = 3;
    check("a lost member", &moved, Format::Archive);
    let mut long = harmless().zip64().to_bytes();
    let record = long.windows(4).position(|window| window == b"PK\x06\x06").unwrap();
    long[record + 32] = 9;
    check("a count of zip64 that lies", &long, Format::Archive);
    let many = [b"PK\x05\x06".as_slice(), &[0; 18]].concat().repeat(40);
    check("many end records", &[harmless().to_bytes(), many].concat(), Format::Archive);
}

#[test]
fn a_contradiction_hides_no_pickle() {
    let hidden = ZipWriter::of(&[("a.txt", b"x"), ("data.pkl", PICKLE)]);
    check("a wrong count", &hidden.clone().counted(1).to_bytes(), Format::Pickle);
    check("shared bytes", &hidden.sharing_bytes().to_bytes(), Format::Pickle);
    check(
        "a name with a zero byte",
        &ZipWriter::default().member(b"data.pkl\0.txt", b"").to_bytes(),
        Format::Pickle,
    );
    check(
        "a name that is not UTF-8",
        &ZipWriter::default().member(b"\xff/data.pkl", b"").to_bytes(),
        Format::Pickle,
    );
    check("another name for it", &ZipWriter::of(&[("weights.dat", PICKLE)]).to_bytes(), Format::Pickle);
    let encrypted = |mut zip: Vec<u8>| {
        let entry = zip.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
        zip[entry + 8] = 1;
        zip
    };
    check("a bit that says encrypted", &encrypted(torch()), Format::Pickle);
}

#[test]
fn a_member_that_cannot_be_looked_into_makes_an_archive() {
    let entry_of = |at: usize, value: u8| {
        let mut zip = harmless().to_bytes();
        let entry = zip.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
        zip[entry + at] = value;
        zip
    };
    assert_ne!(entry_of(10, 0), entry_of(10, 12));
    for (method, name) in [(9, "Deflate64"), (12, "bzip2"), (14, "LZMA"), (93, "Zstandard"), (95, "xz")] {
        check(name, &entry_of(10, method), Format::Archive);
    }
    check("encrypted", &entry_of(8, 1), Format::Archive);
}

#[test]
fn archives_in_archives_end() {
    let mut nested = torch();
    for _ in 0..2 {
        nested = ZipWriter::of(&[("inner", &nested)]).to_bytes();
    }
    check("three deep", &nested, Format::Pickle);
    // A zip in a zip is read as one of its own too, for its end lies close to the end of the file.
    let mut deep = tar(&[("a.txt", b"text")]);
    for _ in 0..8 {
        deep = tar(&[("inner", &deep)]);
    }
    check("nine deep", &deep, Format::Archive);
}

#[test]
fn what_is_compressed_again_and_again_ends() {
    let gzip = |bytes: &[u8]| {
        let length = u16::try_from(bytes.len()).unwrap();
        let sizes = [length.to_le_bytes(), (!length).to_le_bytes()].concat();
        [b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x01", sizes.as_slice(), bytes].concat()
    };
    let mut text = b"text".to_vec();
    for depth in 1..8 {
        text = gzip(&text);
        let expected = if depth > 1 { Format::Archive } else { Format::Other };
        check(&format!("{depth} times"), &text, expected);
    }
}

/// Returns a gzip file and a zlib file of these stored blocks, without their checksums.
fn deflated(blocks: &[&[u8]]) -> [Vec<u8>; 2] {
    let mut stream = Vec::new();
    for (index, block) in blocks.iter().enumerate() {
        let length = u16::try_from(block.len()).unwrap();
        stream.push(u8::from(index + 1 == blocks.len()));
        stream.extend([length.to_le_bytes(), (!length).to_le_bytes()].concat());
        stream.extend_from_slice(block);
    }
    [b"\x1f\x8b\x08\0\0\0\0\0\0\x03".as_slice(), b"\x78\x9c"].map(|magic| [magic, &stream].concat())
}

#[test]
fn what_is_compressed_hides_no_pickle_behind_a_long_beginning() {
    let call = b"0cos\nsystem\n)R.";
    let text = vec![b'a'; 60_000];
    for file in deflated(&[b"V", &text, &text, b"\n", call]) {
        check("behind a long line", &file, Format::Pickle);
    }
    for file in deflated(&[b"T\0\0\x02\0", &text, &text, call]) {
        check("behind a long text", &file, Format::Pickle);
    }
    let empty = vec![b"".as_slice(); 4000];
    for file in deflated(&[empty, vec![b"I1\n", call]].concat()) {
        check("behind nothing", &file, Format::Archive);
    }
    let [first, _] = deflated(&[b"I1\n"]);
    let [second, _] = deflated(&[call]);
    check("in a second part", &[first, vec![0; 8], second].concat(), Format::Archive);
    let objects = format!("{{{}'descr': '|O'}}", " ".repeat(5000));
    let length = u16::try_from(objects.len()).unwrap().to_le_bytes();
    let array = [b"\x93NUMPY\x01\0".as_slice(), &length, objects.as_bytes()].concat();
    check("an array of NumPy with a long header", &array[..4096], Format::Pickle);
}

#[test]
fn a_tar_is_one_however_its_checksum_is_written() {
    let sound = tar(&[("x", b"cos\nsystem\n)R.")]);
    let sum: u32 = sound[..512]
        .iter()
        .enumerate()
        .map(|(at, byte)| u32::from(if (148..156).contains(&at) { b' ' } else { *byte }))
        .sum();
    let long = [&[0x80, 0, 0, 0], sum.to_be_bytes().as_slice()].concat();
    let texts = [format!("0o{sum:o}"), format!("0_{sum:o}"), format!("\x1c{sum:o}"), format!("+{sum:o}")];
    for written in texts.map(String::into_bytes).into_iter().chain([long]) {
        let mut file = sound.clone();
        file[148..156].fill(0);
        file[148..148 + written.len()].copy_from_slice(&written);
        check(&format!("{written:?}"), &file, Format::Pickle);
    }
}

#[test]
fn a_tar_whose_readers_differ_is_an_archive() {
    let pax = |record: &str| {
        let mut bytes = tar_header("pax", b'x', record.len() as u64).to_vec();
        bytes.extend(record.as_bytes());
        bytes.resize(1024, 0);
        bytes
    };
    let file = |name: &str, bytes: &[u8]| tar(&[(name, bytes)]);
    check("a pax name", &[pax("16 path=x/a.pkl\n"), file("a.txt", b"x")].concat(), Format::Pickle);
    check("a pax size", &[pax("12 size=bad\n"), file("a.txt", b"x")].concat(), Format::Archive);
    check("sparse", &[pax("22 GNU.sparse.major=1\n"), file("a.txt", b"x")].concat(), Format::Archive);
    check("a folder with bytes", &tar_header("a/", b'5', 600), Format::Archive);
    check("cut off", &tar_header("a.txt", b'0', 600), Format::Archive);
    let mut broken = file("a.txt", b"x");
    broken.splice(1024..1024, [b'?'; 512]);
    check("a broken header", &broken, Format::Archive);
    let long_name = [tar_header("././@LongLink", b'L', 6).as_slice(), b"x.pkl\0", &[0; 506]].concat();
    check("GNU's long name", &[long_name, file("a.txt", b"x")].concat(), Format::Pickle);
}

#[test]
fn a_torchscript_that_contradicts_itself_is_not_one() {
    let script = ZipWriter::of(&[("m/code/a.py", b""), ("m/constants.pkl", b""), ("m/data.pkl", PICKLE)]);
    assert_eq!(told("m.dat", &script.to_bytes()), Format::TorchScript);
    assert_ne!(told("m.dat", &script.counted(9).to_bytes()), Format::TorchScript);
}
