use super::*;
use crate::error::Error;

/// The keys of RFC 6979, sections A.2.5 to A.2.7, as OpenSSL writes them, and the signatures of `sample` there.
const CASES: [(Curve, [&str; 3], [&str; 2]); 3] = [
    (
        Curve::P256,
        [
            include_str!("../../tests/keys/p256.pkcs8.pem"),
            include_str!("../../tests/keys/p256.sec1.pem"),
            include_str!("../../tests/keys/p256.pub.pem"),
        ],
        [
            "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
            "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
        ],
    ),
    (
        Curve::P384,
        [
            include_str!("../../tests/keys/p384.pkcs8.pem"),
            include_str!("../../tests/keys/p384.sec1.pem"),
            include_str!("../../tests/keys/p384.pub.pem"),
        ],
        [
            "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e36dd1e80fabe46",
            "99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145786e679e7b82c71a38628ac8",
        ],
    ),
    (
        Curve::P521,
        [
            include_str!("../../tests/keys/p521.pkcs8.pem"),
            include_str!("../../tests/keys/p521.sec1.pem"),
            include_str!("../../tests/keys/p521.pub.pem"),
        ],
        [
            "c328fafcbd79dd77850370c46325d987cb525569fb63c5d3bc53950e6d4c5f174e25a1ee9017b5d450606add152b534931d7d4e8455cc91f9b15bf05ec36e377fa",
            "617cce7cf5064806c467f678d3b4080d6f1cc50af26ca209417308281b68af282623eaa63e5b5c0723d8b8c37ff0777b1a20f8ccb1dccc43997f1ee0e44da4a67a",
        ],
    ),
];

#[test]
fn signatures_are_those_of_rfc_6979() {
    for (curve, [pkcs8, sec1, public], [r, s]) in CASES {
        let key = PrivateKey::from_pem(pkcs8.as_bytes()).unwrap();
        let signature = key.sign(b"sample").unwrap();
        let told = hex::encode(&signature);
        assert!(told.contains(r) && told.ends_with(s), "{curve}: {told}");
        assert_eq!(
            PrivateKey::from_pem(sec1.as_bytes()).unwrap().sign(b"sample").unwrap(),
            signature,
            "{curve}"
        );

        let public = PublicKey::from_pem(public.as_bytes()).unwrap();
        assert_eq!((public.curve(), &public), (curve, &key.public_key()));
        assert!(public.verifies(b"sample", &signature), "{curve}");
        assert!(!public.verifies(b"simple", &signature), "{curve}");
        for at in 0..signature.len() {
            let mut changed = signature.clone();
            changed[at] ^= 1;
            assert!(!public.verifies(b"sample", &changed), "{curve}: byte {at}");
        }
    }
}

#[test]
fn a_public_key_is_written_as_openssl_writes_it() {
    for (curve, [_, _, public], _) in CASES {
        let key = PublicKey::from_pem(public.as_bytes()).unwrap();
        assert_eq!(key.to_pem(), public, "{curve}");
        // What a text editor on Windows makes of it, and a comment before it.
        let edited = format!("# the key of the lab\r\n{}", public.replace('\n', "\r\n"));
        assert_eq!(
            PublicKey::from_pem(edited.as_bytes()).unwrap().fingerprint(),
            key.fingerprint(),
            "{curve}"
        );
    }
}

#[test]
fn parameters_before_a_private_key_are_passed_over() {
    // `openssl ecparam -name prime256v1 -genkey` writes both blocks.
    let parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    let both = format!("{parameters}{}", CASES[0].1[1]);
    assert!(PrivateKey::from_pem(both.as_bytes()).is_ok());
}

#[test]
fn what_is_not_a_key_is_named_with_what_is_read() {
    let public = |text: &str| PublicKey::from_pem(text.as_bytes()).unwrap_err().to_string();
    let private = |text: &str| PrivateKey::from_pem(text.as_bytes()).unwrap_err().to_string();
    let check = |told: String, expected: &str| {
        assert!(told.starts_with(expected) && told.contains("P-256, P-384 or P-521"), "{told}");
    };
    let [pkcs8, sec1, good] = CASES[0].1;
    check(public(""), "it holds no block of PEM; a public key is read as PEM");
    check(public(pkcs8), "it holds `PRIVATE KEY`; a public");
    check(public(&pkcs8.replace("PRIVATE KEY", "CERTIFICATE")), "it holds `CERTIFICATE`");
    check(public(&good.repeat(2)), "it holds more than one key");
    check(public(&good[..100]), "its block has no end");
    check(public(&good.replace("MFk", "!!!")), "its block is not Base64");
    check(public(&good.replace("MFk", "MFl")), "its block is malformed");
    check(public(&"x".repeat(65 << 10)), "it is larger than 65536 bytes");
    check(private(good), "it holds `PUBLIC KEY`; a private key is read");
    check(private(&pkcs8.replace("PRIVATE", "ENCRYPTED PRIVATE")), "it holds `ENCRYPTED PRIVATE KEY`");
    check(private(&sec1.replacen('\n', "\nProc-Type: 4,ENCRYPTED\n", 1)), "it is encrypted");
    // openssl genpkey -algorithm ed25519 -outform PEM | openssl pkey -pubout
    let ed25519 = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
    check(public(ed25519), "it is a key of Ed25519");
}

#[test]
fn a_private_key_is_not_printed() {
    let key = PrivateKey::from_pem(CASES[0].1[0].as_bytes()).unwrap();
    assert_eq!(format!("{key:?}"), "PrivateKey(***)");
    let text = CASES[0].1[0].replace("PRIVATE KEY", "SECRET KEY");
    let error = PrivateKey::from_pem(text.as_bytes()).unwrap_err();
    assert!(matches!(&error, Error::PrivateKey(reason) if reason == "it holds `SECRET KEY`"), "{error}");
}
