//! Builds zips and tars, sound ones and such that contradict themselves.

/// Builds a zip of stored members, with a directory that may lie.
///
/// Source: APPNOTE.TXT of PKWARE, version 6.3.10, section 4.3.
#[derive(Clone, Debug, Default)]
pub struct ZipWriter {
    members: Vec<(Vec<u8>, Vec<u8>)>,
    prefix: Vec<u8>,
    entries: Option<u16>,
    comment: Vec<u8>,
    is_zip64: bool,
    shares_bytes: bool,
}

impl ZipWriter {
    /// Returns a zip of some members.
    pub fn of(members: &[(&str, &[u8])]) -> Self {
        members.iter().fold(Self::default(), |zip, (name, bytes)| zip.member(name.as_bytes(), bytes))
    }

    /// Adds a member, whose name may be any bytes.
    #[must_use]
    pub fn member(mut self, name: &[u8], bytes: &[u8]) -> Self {
        self.members.push((name.to_vec(), bytes.to_vec()));
        self
    }

    /// Puts bytes before the zip, of which no offset knows.
    #[must_use]
    pub fn behind(self, prefix: &[u8]) -> Self {
        Self { prefix: prefix.to_vec(), ..self }
    }

    /// Lets the end record say another count of members.
    #[must_use]
    pub fn counted(self, entries: u16) -> Self {
        Self { entries: Some(entries), ..self }
    }

    /// Puts a comment behind the end record.
    #[must_use]
    pub fn commented(self, comment: &[u8]) -> Self {
        Self { comment: comment.to_vec(), ..self }
    }

    /// Writes the numbers of the end record as zip64 has them.
    #[must_use]
    pub fn zip64(self) -> Self {
        Self { is_zip64: true, ..self }
    }

    /// Lets every entry of the directory point at the first member.
    #[must_use]
    pub fn sharing_bytes(self) -> Self {
        Self { shares_bytes: true, ..self }
    }

    /// Returns the bytes of the zip.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (mut zip, mut directory) = (Vec::<u8>::new(), Vec::<u8>::new());
        for (name, bytes) in &self.members {
            let offset = if self.shares_bytes { 0 } else { zip.len() };
            zip.extend(b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0");
            let sizes = [u32_of(bytes.len()), u32_of(bytes.len())].concat();
            zip.extend(sizes.iter().chain(&u16_of(name.len())).chain(&[0, 0]).chain(name).chain(bytes));
            directory.extend(b"PK\x01\x02\x14\0\x14\0\0\0\0\0\0\0\0\0\0\0\0\0");
            directory.extend(sizes.iter().chain(&u16_of(name.len())).chain(&[0; 12]));
            directory.extend(u32_of(offset).iter().chain(name));
        }
        let (start, size) = (zip.len(), directory.len());
        zip.extend(directory);
        if self.is_zip64 {
            self.end64(&mut zip, start, size);
        }
        self.end(&mut zip, start, size);
        [self.prefix.as_slice(), &zip].concat()
    }

    fn end64(&self, zip: &mut Vec<u8>, start: usize, size: usize) {
        let at = zip.len() as u64;
        let count = self.members.len() as u64;
        zip.extend(b"PK\x06\x06\x2c\0\0\0\0\0\0\0\x2d\0\x2d\0\0\0\0\0\0\0\0\0");
        for number in [count, count, size as u64, start as u64] {
            zip.extend(number.to_le_bytes());
        }
        zip.extend(b"PK\x06\x07\0\0\0\0");
        zip.extend(at.to_le_bytes());
        zip.extend(1_u32.to_le_bytes());
    }

    fn end(&self, zip: &mut Vec<u8>, start: usize, size: usize) {
        zip.extend(b"PK\x05\x06\0\0\0\0");
        if self.is_zip64 {
            zip.extend([0xff; 12]);
        } else {
            let count = self.entries.map_or(u16_of(self.members.len()), u16::to_le_bytes);
            zip.extend(count.iter().chain(&count).chain(&u32_of(size)).chain(&u32_of(start)));
        }
        zip.extend(u16_of(self.comment.len()).iter().chain(&self.comment));
    }
}

fn u16_of(number: usize) -> [u8; 2] {
    u16::try_from(number).unwrap().to_le_bytes()
}

fn u32_of(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap().to_le_bytes()
}

/// Returns a tar of some files, as POSIX writes it.
pub fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (name, bytes) in members {
        tar.extend(tar_header(name, b'0', bytes.len() as u64));
        tar.extend(*bytes);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

/// Returns the header of a tar's member, with a right checksum.
pub fn tar_header(name: &str, kind: u8, size_bytes: u64) -> [u8; 512] {
    let mut header = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(124, format!("{size_bytes:011o}\0").as_bytes());
    put(148, b"        ");
    put(156, &[kind]);
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}
