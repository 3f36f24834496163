//! A GGUF file in memory: weights, vocabulary and chat template.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use llama_cpp_2::LlamaContextLoadError;
use llama_cpp_2::LlamaModelLoadError;
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::token::LlamaToken;

use crate::template::ChatTemplate;

/// Why a model can't be served.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file isn't there or can't be read.
    #[error("failed to open the model {path}", path = .0.display())]
    Missing(PathBuf, #[source] std::io::Error),
    /// llama.cpp was started twice in one process.
    #[error("failed to start llama.cpp")]
    Backend(#[from] llama_cpp_2::LlamaCppError),
    /// llama.cpp doesn't take the file.
    #[error("failed to load {path}: not a GGUF model that llama.cpp knows (--verbose shows its log)", path = .0.display())]
    Unreadable(PathBuf, #[source] LlamaModelLoadError),
    /// There's no memory for the key-value cache, or its size isn't allowed.
    #[error("failed to make a cache of {0} tokens")]
    Cache(u32, #[source] LlamaContextLoadError),
    /// The cache asked for is more than a number can say.
    #[error("{slots} slots of {context} tokens are too many")]
    TooLarge { slots: u16, context: NonZeroU32 },
    /// Answers past the trained length would be noise.
    #[error("a context of {asked} tokens is more than the {trained} that the model was trained for")]
    PastTraining { asked: u32, trained: u32 },
    /// The file's own chat template has a syntax error.
    #[error("failed to read the model's chat template")]
    Template(#[from] minijinja::Error),
}

/// A loaded model, shared between the batch thread and the HTTP handlers.
pub struct Model {
    llama: LlamaModel,
    template: Option<ChatTemplate>,
    backend: LlamaBackend,
}

impl Model {
    /// Maps the file into memory and reads its chat template.
    pub fn load(path: &Path, verbose: bool) -> Result<Self, LoadError> {
        // llama.cpp reports a missing file as it does a broken one.
        std::fs::File::open(path).map_err(|error| LoadError::Missing(path.to_owned(), error))?;
        let mut backend = LlamaBackend::init()?;
        if !verbose {
            backend.void_logs();
        }
        let llama = LlamaModel::load_from_file(&backend, path, &LlamaModelParams::default())
            .map_err(|error| LoadError::Unreadable(path.to_owned(), error))?;
        let template = match llama.meta_val_str("tokenizer.chat_template") {
            Ok(source) => Some(ChatTemplate::new(source, text_of(&llama, llama.vocab().bos()), text_of(&llama, llama.vocab().eos()))?),
            Err(_) => None,
        };
        Ok(Self { llama, template, backend })
    }

    /// Makes the key-value cache for `slots` sequences of `context` tokens each, in one pool.
    pub fn cache(&self, slots: u16, context: NonZeroU32, threads: u16, step_tokens_max: u32) -> Result<LlamaContext<'_>, LoadError> {
        let trained = self.llama.n_ctx_train();
        if context.get() > trained {
            return Err(LoadError::PastTraining { asked: context.get(), trained });
        }
        let total = context.get().checked_mul(u32::from(slots)).ok_or(LoadError::TooLarge { slots, context })?;
        let params = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(total))
            .with_n_seq_max(u32::from(slots))
            .with_kv_unified(true)
            .with_n_batch(step_tokens_max)
            .with_n_ubatch(step_tokens_max)
            .with_n_threads(i32::from(threads))
            .with_n_threads_batch(i32::from(threads));
        self.llama.new_context(&self.backend, params).map_err(|error| LoadError::Cache(total, error))
    }

    /// The model's chat template, where the file has one.
    pub fn template(&self) -> Option<&ChatTemplate> {
        self.template.as_ref()
    }

    /// Tokens of a rendered chat, which writes its own begin-of-text where the model wants one.
    pub fn chat_tokens(&self, text: &str) -> Vec<LlamaToken> {
        self.llama.vocab().tokenize(text.as_bytes(), false, true)
    }

    /// Tokens of a bare prompt, with begin-of-text where the model wants one.
    pub fn text_tokens(&self, text: &str) -> Vec<LlamaToken> {
        self.llama.vocab().tokenize(text.as_bytes(), true, true)
    }

    /// The bytes that a token stands for: none for a control token, perhaps part of a character.
    pub fn piece(&self, token: LlamaToken) -> Vec<u8> {
        self.llama.vocab().token_to_piece(token, false, None)
    }

    /// Whether the model says with this token that it has finished.
    pub fn ends(&self, token: LlamaToken) -> bool {
        self.llama.vocab().is_eog(token)
    }

    /// Whether the cache of a sequence can be cut off at any token; a recurrent state can't.
    pub fn cache_can_be_cut(&self) -> bool {
        !self.llama.is_recurrent() && !self.llama.is_hybrid()
    }

    /// How many tokens the vocabulary has.
    pub fn vocabulary(&self) -> i32 {
        self.llama.n_vocab()
    }
}

fn text_of(llama: &LlamaModel, token: LlamaToken) -> String {
    // A model without such a token answers with a negative one.
    if token.0 < 0 {
        return String::new();
    }
    String::from_utf8_lossy(&llama.vocab().token_to_piece(token, true, None)).into_owned()
}
