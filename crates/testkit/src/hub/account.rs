//! Says who a token belongs to.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Holds the accounts of the hub, by their tokens.
#[derive(Debug, Default)]
pub(super) struct Accounts(BTreeMap<String, Value>);

impl Accounts {
    /// Adds the account of a token.
    pub(super) fn add(&mut self, token: &str, name: &str, organizations: &[&str]) {
        let organization = |name: &&str| json!({ "type": "org", "name": name, "fullname": name });
        let organizations: Vec<_> = organizations.iter().map(organization).collect();
        let account = json!({
            "type": "user",
            "id": "0123456789abcdef01234567",
            "name": name,
            "fullname": name,
            "isPro": false,
            "orgs": organizations,
            "auth": { "type": "access_token" },
        });
        self.0.insert(token.to_owned(), account);
    }

    /// Returns the account of a token: `GET /api/whoami-v2`.
    pub(super) fn of(&self, token: Option<&str>) -> Option<&Value> {
        self.0.get(token?)
    }
}
