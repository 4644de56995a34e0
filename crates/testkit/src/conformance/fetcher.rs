//! The contract of `ModelFetcher`.

use futures_util::TryStreamExt;
use provisioner_core::{
    ByteRange, FetchErrorKind, Manifest, ManifestFile, ModelFetcher, ModelRef, ResolveRequest,
};
use sha2::{Digest as _, Sha256};

/// Runs the whole suite against a fetcher: `present` names a model that it has, with at least one file that is not empty;
/// `absent` one that it has not.
///
/// # Panics
/// Where the contract is broken.
pub async fn fetcher(fetcher: &dyn ModelFetcher, present: &ModelRef, absent: &ModelRef) {
    answers_for_its_schemes(fetcher, present);
    let manifest = fetcher.resolve(&ResolveRequest::new(present.clone())).await.unwrap();
    assert_eq!(manifest.reference(), present);
    resolves_the_same_twice(fetcher, &manifest).await;
    for file in manifest.files() {
        opens_what_it_listed(fetcher, file).await;
    }
    let largest = manifest.files().iter().max_by_key(|file| file.size).filter(|file| file.size > 0);
    opens_ranges(fetcher, largest.expect("a file that is not empty")).await;
    let error = fetcher.resolve(&ResolveRequest::new(absent.clone())).await.unwrap_err();
    assert_eq!(error.kind, FetchErrorKind::NotFound, "{error}");
}

fn answers_for_its_schemes(fetcher: &dyn ModelFetcher, present: &ModelRef) {
    let schemes = fetcher.schemes();
    assert!(schemes.contains(&present.scheme()));
    assert!(schemes.iter().all(|scheme| *scheme == scheme.to_ascii_lowercase() && !scheme.contains(':')));
}

async fn resolves_the_same_twice(fetcher: &dyn ModelFetcher, first: &Manifest) {
    let again = fetcher.resolve(&ResolveRequest::new(first.reference().clone())).await.unwrap();
    assert_eq!(again.revision(), first.revision());
    let listed =
        |manifest: &Manifest| manifest.files().iter().map(|f| (f.path.clone(), f.size)).collect::<Vec<_>>();
    assert_eq!(listed(&again), listed(first));
}

async fn opens_what_it_listed(fetcher: &dyn ModelFetcher, file: &ManifestFile) {
    let opened = fetcher.open(file, ByteRange::ALL).await.unwrap();
    assert_eq!(opened.range.start, 0);
    assert!(opened.total_size.is_none_or(|size| size == file.size));
    let bytes = read(fetcher, file, ByteRange::ALL).await;
    assert_eq!(bytes.len() as u64, file.size);
    if let Some(digest) =
        file.digest.as_ref().filter(|d| d.algorithm() == provisioner_core::DigestAlgorithm::Sha256)
    {
        assert_eq!(digest.hex(), hex::encode(Sha256::digest(&bytes)));
    }
}

async fn opens_ranges(fetcher: &dyn ModelFetcher, file: &ManifestFile) {
    let whole = read(fetcher, file, ByteRange::ALL).await;
    let (last, middle) = (file.size, file.size / 2);
    let within = [(0, Some(1)), (1, Some(last.min(64))), (last.min(63), None), (middle, None)];
    let at_the_edges = [(last - 1, Some(last)), (last, None), (middle, Some(middle))];
    for (start, end) in within.into_iter().chain(at_the_edges) {
        let opened = fetcher.open(file, ByteRange { start, end }).await.unwrap();
        assert_eq!(opened.range.start, start);
        let expected = &whole[usize::try_from(start).unwrap()..usize::try_from(end.unwrap_or(last)).unwrap()];
        assert_eq!(read(fetcher, file, ByteRange { start, end }).await, expected, "{start}..{end:?}");
    }
    assert!(fetcher.open(file, ByteRange { start: last + 1, end: None }).await.is_err(), "past the end");
}

async fn read(fetcher: &dyn ModelFetcher, file: &ManifestFile, range: ByteRange) -> Vec<u8> {
    let stream = fetcher.open(file, range).await.unwrap().stream;
    let pieces: Vec<_> = stream.try_collect().await.unwrap();
    pieces.concat()
}
