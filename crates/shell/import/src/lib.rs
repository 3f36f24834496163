//! Fleet files from what a user already has: a LiteLLM proxy's config, or a FOCUS bill.
//!
//! - [`litellm`] and [`focus`] turn a text into the text of a fleet file, with a [`Finding`] for all that is unknown and all that
//!   was left out. They read no file, no clock and no environment: the same text gives the same bytes.
//! - What comes out is read by [`fleet::parse`] without an error; what would not be is an [`ImportError`] instead.
//! - What stands in the file without being known has a `# unknown: ` beside it.
//! - No secret of a config gets into the file or a finding.

mod error;
mod exact;
mod finding;
mod focus;
mod litellm;
mod names;
mod page;
mod yaml;

pub use error::ImportError;
pub use exact::Exact;
pub use finding::{Finding, Imported, Kind, Total};
pub use focus::focus;
pub use litellm::litellm;
