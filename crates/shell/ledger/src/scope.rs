//! What a key may do.

use std::fmt;
use std::str::FromStr;

/// One thing that a key may do; a route names the one that it wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Calls under `/v1`.
    Inference,
    /// Reading status, usage, costs and decisions.
    Read,
    /// Making plans.
    Plan,
    /// Changing keys and prices, draining endpoints.
    Operate,
    /// All of these.
    Admin,
}

impl Scope {
    /// Every scope, in order.
    pub const ALL: [Self; 5] = [Self::Inference, Self::Read, Self::Plan, Self::Operate, Self::Admin];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inference => "inference",
            Self::Read => "read",
            Self::Plan => "plan",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no scope: there are inference, read, plan, operate and admin")]
pub struct NoScope(String);

impl FromStr for Scope {
    type Err = NoScope;
    fn from_str(text: &str) -> Result<Self, NoScope> {
        Self::ALL.into_iter().find(|scope| scope.name() == text).ok_or_else(|| NoScope(text.to_owned()))
    }
}

/// A set of scopes; the empty one allows nothing.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// Whether `scope` is allowed, by itself or because everything is.
    #[must_use]
    pub const fn allows(self, scope: Scope) -> bool {
        self.has(scope) || self.has(Scope::Admin)
    }

    /// Those in it, in order.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }

    /// Whether nothing is in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    const fn has(self, scope: Scope) -> bool {
        self.0 & 1 << scope as u8 != 0
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |set, scope| set | 1 << scope as u8))
    }
}

impl From<Scope> for Scopes {
    fn from(scope: Scope) -> Self {
        [scope].into_iter().collect()
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_allows_itself_and_admin_allows_all() {
        for scope in Scope::ALL {
            assert_eq!(scope.name().parse(), Ok(scope));
            let allowed: Vec<Scope> = Scope::ALL.into_iter().filter(|other| Scopes::from(scope).allows(*other)).collect();
            assert_eq!(allowed, if scope == Scope::Admin { Scope::ALL.to_vec() } else { vec![scope] });
            assert!(!Scopes::default().allows(scope));
        }
        assert!("root".parse::<Scope>().is_err() && "Admin".parse::<Scope>().is_err());
    }
}
