//! Names the account that a source knows its caller by.

/// Names the account that a source knows its caller by, as the source says it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Account {
    /// The name of the account.
    pub name: String,
    /// The names of the organizations that the account belongs to.
    pub organizations: Vec<String>,
}

impl Account {
    /// Makes the account of a name, in no organization.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), organizations: Vec::new() }
    }

    /// Sets the organizations that the account belongs to.
    #[must_use]
    pub fn in_organizations(mut self, organizations: Vec<String>) -> Self {
        self.organizations = organizations;
        self
    }
}
