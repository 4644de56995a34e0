//! A policy engine of the caller, beside the policy.

use std::sync::Arc;

use model_provisioner::{
    Decision, Denial, ErrorCode, Format, ModelProvisioner, Policy, PolicyEngine, Question,
};

use crate::fixture::Fixture;

/// Denies every model of more than so many bytes, and nothing else.
#[derive(Debug)]
struct AtMost(u64);

impl PolicyEngine for AtMost {
    fn decide(&self, question: &Question<'_>) -> Decision {
        match *question {
            Question::Size { size_bytes, .. } if size_bytes > self.0 => {
                Denial::new("at_most", size_bytes.to_string(), format!("a model of {size_bytes} bytes"))
                    .into()
            }
            _ => Decision::Allowed,
        }
    }
}

#[tokio::test]
async fn an_engine_loosens_nothing_and_the_policy_holds_beside_it() {
    let bench = Fixture::new();
    let (pickle, large) = (bench.path("model.pt"), bench.path("large.bin"));
    fs_err::write(&pickle, b"\x80\x04.").unwrap();
    fs_err::write(&large, [7; 2000]).unwrap();
    let codes = |policy: Policy, at_most: u64| {
        let builder = ModelProvisioner::builder(bench.path("cache")).policy(policy);
        let provisioner = builder.policy_engine(Arc::new(AtMost(at_most))).build().unwrap();
        let paths = [&pickle, &large].map(|path| path.to_str().unwrap().to_owned());
        async move {
            let mut codes = Vec::new();
            for path in paths {
                codes.push(provisioner.ensure_present_str(&path, None).await.err().map(|error| error.code()));
            }
            codes
        }
    };
    let (refused, denied) = (Some(ErrorCode::RefusedFormat), Some(ErrorCode::PolicyDenied));
    assert_eq!(codes(Policy::default(), 5000).await, [refused, None]);
    let all = Policy { formats: Some(vec![Format::Pickle, Format::Other]), ..Policy::default() };
    assert_eq!(codes(all, 1000).await, [None, denied]);
}
