//! The names that clients of several makes have for one path.

/// A path without what stands before the call in OpenAI's URLs and in both of Azure's; the `/v1` may be left out. What a
/// deployment is called stands in the body too, as the model.
pub(crate) fn bare(path: &str) -> &str {
    let rest = path.strip_prefix("/openai").filter(|rest| rest.starts_with('/')).unwrap_or(path);
    if let Some(deployment) = rest.strip_prefix("/deployments/")
        && let Some(at) = deployment.find('/')
    {
        return &deployment[at..];
    }
    rest.strip_prefix("/v1").filter(|rest| rest.starts_with('/')).unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_before_a_call_is_left_out() {
        for (path, want) in [
            ("/v1/chat/completions", "/chat/completions"),
            ("/chat/completions", "/chat/completions"),
            ("/openai/v1/chat/completions", "/chat/completions"),
            ("/openai/deployments/gpt/chat/completions", "/chat/completions"),
            ("/openai/deployments/gpt", "/deployments/gpt"),
            ("/v1x/models", "/v1x/models"),
            ("/openaix/models", "/openaix/models"),
        ] {
            assert_eq!(bare(path), want, "{path}");
        }
    }
}
