//! Decides which licences a model may have.

use crate::denial::Denial;

/// Returns the denial of a model's licence. Letter case does not count. With a rule, a model without a known licence is denied.
pub(super) fn refuse(licenses: Option<&[String]>, id: &str, license: Option<&str>) -> Option<Denial> {
    let licenses = licenses?;
    let Some(license) = license else {
        let denial = Denial::new("licenses", "unknown", format!("`{id}`, whose licence is not known"));
        return Some(
            denial
                .with_remedy("take a model whose source states a licence that the policy's `licenses` name"),
        );
    };
    let is_allowed = licenses.iter().any(|allowed| allowed.eq_ignore_ascii_case(license));
    (!is_allowed).then(|| {
        Denial::new("licenses", license, format!("the licence `{license}` of `{id}`"))
            .with_remedy(format!("add `{license}` to the policy's `licenses`, once you have read it"))
    })
}
