//! What LiteLLM calls providers, and what of them a fleet file can say.

/// A provider of LiteLLM's that Baseload can call.
#[derive(Debug)]
pub(super) struct Provider {
    /// The word before the slash in LiteLLM's `model`.
    pub(super) prefix: &'static str,
    /// The party that it becomes.
    pub(super) party: &'static str,
    /// The fleet file's dialect.
    pub(super) dialect: &'static str,
    /// The base URL, where there is one for all.
    pub(super) url: Option<&'static str>,
    /// What a base URL ends with in a fleet file, when the dialect fixes it.
    pub(super) ends: &'static str,
    /// The environment variable that LiteLLM reads when no key is stated.
    pub(super) key: Option<&'static str>,
}

impl Provider {
    /// Whether it is Google's Vertex.
    pub(super) fn is_vertex(&self) -> bool {
        self.prefix.starts_with("vertex_ai")
    }

    /// Whether it says what a stream used without being asked, and refuses to be.
    pub(super) fn says_usage(&self) -> bool {
        self.prefix == "mistral"
    }
}

const fn openai(prefix: &'static str, url: &'static str, key: &'static str) -> Provider {
    Provider { prefix, party: prefix, dialect: "openai", url: Some(url), ends: "", key: Some(key) }
}

/// A server of one's own that speaks OpenAI's API.
const fn own(prefix: &'static str) -> Provider {
    Provider { prefix, party: prefix, dialect: "openai", url: None, ends: "", key: None }
}

/// Google's Vertex, whose address has a project and a place in it, and whose keys are tokens that expire.
const fn vertex(prefix: &'static str) -> Provider {
    Provider { prefix, party: "google", dialect: "gemini", url: None, ends: "/publishers/google", key: None }
}

const PROVIDERS: &[Provider] = &[
    openai("openai", "https://api.openai.com/v1", "OPENAI_API_KEY"),
    Provider {
        prefix: "text-completion-openai",
        party: "openai",
        dialect: "openai",
        url: Some("https://api.openai.com/v1"),
        ends: "",
        key: Some("OPENAI_API_KEY"),
    },
    Provider { prefix: "azure", party: "azure", dialect: "azure", url: None, ends: "/openai/v1", key: Some("AZURE_API_KEY") },
    Provider { prefix: "azure_text", party: "azure", dialect: "azure", url: None, ends: "/openai/v1", key: Some("AZURE_API_KEY") },
    Provider {
        prefix: "anthropic",
        party: "anthropic",
        dialect: "anthropic",
        url: Some("https://api.anthropic.com/v1"),
        ends: "/v1",
        key: Some("ANTHROPIC_API_KEY"),
    },
    Provider {
        prefix: "gemini",
        party: "google",
        dialect: "gemini",
        url: Some("https://generativelanguage.googleapis.com/v1beta"),
        ends: "/v1beta",
        key: Some("GEMINI_API_KEY"),
    },
    vertex("vertex_ai"),
    vertex("vertex_ai_beta"),
    openai("groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    openai("mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    openai("deepseek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    openai("together_ai", "https://api.together.xyz/v1", "TOGETHERAI_API_KEY"),
    openai("fireworks_ai", "https://api.fireworks.ai/inference/v1", "FIREWORKS_AI_API_KEY"),
    openai("openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    openai("xai", "https://api.x.ai/v1", "XAI_API_KEY"),
    openai("nvidia_nim", "https://integrate.api.nvidia.com/v1", "NVIDIA_NIM_API_KEY"),
    openai("cerebras", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    own("hosted_vllm"),
    own("openai_like"),
    own("custom_openai"),
    own("litellm_proxy"),
    own("lm_studio"),
    own("llamafile"),
    Provider { prefix: "ollama", party: "ollama", dialect: "openai", url: Some("http://localhost:11434/v1"), ends: "/v1", key: None },
    Provider { prefix: "ollama_chat", party: "ollama", dialect: "openai", url: Some("http://localhost:11434/v1"), ends: "/v1", key: None },
];

/// Providers of LiteLLM's that Baseload can't call, and why.
const NOT_POSSIBLE: &[(&str, &str)] = &[
    ("bedrock", "its requests must be signed"),
    ("bedrock_converse", "its requests must be signed"),
    ("sagemaker", "its requests must be signed"),
    ("sagemaker_chat", "its requests must be signed"),
    ("oci", "its requests must be signed"),
];

/// Words in the names of models that LiteLLM's own list has for another mode than text.
const OTHER_MODES: [(&str, &str); 5] = [
    ("whisper", "audio_transcription"),
    ("transcribe", "audio_transcription"),
    ("tts", "audio_speech"),
    ("dall-e", "image_generation"),
    ("gpt-image", "image_generation"),
];

/// Segments between a provider and its name for a model that only tell LiteLLM how to call it.
const SEGMENTS: [(&str, &str); 3] = [("azure", "o_series/"), ("azure", "gpt5_series/"), ("openai", "responses/")];

/// What a `model` names.
#[derive(Debug)]
pub(super) enum Named<'a> {
    /// A provider that can be called, and what it calls the model.
    Known(&'static Provider, &'a str),
    /// One that can't, and why.
    Not(&'a str, &'static str),
}

/// What a `model` of LiteLLM's is for, where its name says that it isn't text.
pub(super) fn other_mode(model: &str) -> Option<&'static str> {
    let name = model.rsplit('/').next().unwrap_or_default();
    let is = |word: &str| name.starts_with(word) || name.split('-').any(|it| it == word);
    OTHER_MODES.iter().find(|(word, _)| is(word)).map(|(_, mode)| *mode)
}

/// Who serves a `model` of LiteLLM's.
pub(super) fn of<'a>(model: &'a str, stated: Option<&'a str>) -> Named<'a> {
    let split = model.split_once('/');
    let known = |prefix: &str| PROVIDERS.iter().find(|it| it.prefix == prefix);
    let not = |prefix: &str| NOT_POSSIBLE.iter().find(|(it, _)| *it == prefix).map(|(_, why)| *why);
    let prefix = stated.or(split.map(|(prefix, _)| prefix));
    let upstream = split.filter(|(first, _)| prefix == Some(*first)).map_or(model, |(_, rest)| rest);
    if let Some(provider) = prefix.and_then(known) {
        let cut = SEGMENTS.iter().filter(|(of, _)| *of == provider.prefix).find_map(|(_, segment)| upstream.strip_prefix(segment));
        let upstream = cut.unwrap_or(upstream);
        if provider.is_vertex() && !upstream.starts_with("gemini-") {
            return Named::Not(
                provider.prefix,
                "of what it serves, only Gemini's models are called in a dialect that Baseload speaks there",
            );
        }
        return Named::Known(provider, upstream);
    }
    if let Some((prefix, why)) = prefix.and_then(|prefix| not(prefix).map(|why| (prefix, why))) {
        return Named::Not(prefix, why);
    }
    // LiteLLM knows the names of the large vendors' models without a prefix.
    let guess =
        [("gpt-", "openai"), ("o1", "openai"), ("o3", "openai"), ("o4", "openai"), ("text-embedding-", "openai"), ("claude-", "anthropic")];
    match guess.iter().find(|(start, _)| prefix.is_none() && model.starts_with(start)).and_then(|(_, prefix)| known(prefix)) {
        Some(provider) => Named::Known(provider, model),
        None => Named::Not(prefix.unwrap_or("(none)"), "it is not known to speak a dialect that Baseload does"),
    }
}
