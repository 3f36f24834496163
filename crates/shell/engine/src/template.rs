//! A model's own chat template, rendered as its authors' Python does.

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, ErrorKind, Value, context};

const NAME: &str = "chat";

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who speaks: `system`, `user` or `assistant`.
    pub role: String,
    /// What is said.
    pub content: String,
}

impl Message {
    fn value(&self) -> Value {
        context! { role => self.role.as_str(), content => self.content.as_str() }
    }
}

/// A compiled chat template.
pub struct ChatTemplate {
    environment: Environment<'static>,
    bos: String,
    eos: String,
}

impl ChatTemplate {
    /// Compiles the Jinja `source` with the whitespace rules that Hugging Face's tokenizers set.
    pub fn new(source: String, bos: String, eos: String) -> Result<Self, Error> {
        let mut environment = Environment::new();
        environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        // minijinja's own filter escapes `<`, `>` and `&` for HTML, which a prompt must not have.
        environment.add_filter("tojson", |value: Value| -> Result<String, Error> {
            serde_json::to_string(&value).map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))
        });
        environment.add_template_owned(NAME, source)?;
        Ok(Self { environment, bos, eos })
    }

    /// The prompt for `messages`, open for the assistant's turn.
    pub fn render(&self, messages: &[Message]) -> Result<String, Error> {
        self.environment.get_template(NAME)?.render(context! {
            messages => messages.iter().map(Message::value).collect::<Vec<Value>>(),
            add_generation_prompt => true,
            bos_token => self.bos.as_str(),
            eos_token => self.eos.as_str(),
            // Present and null, as in Python: templates ask whether they are `none`.
            tools => (),
            documents => (),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SmolLM2's template, as the file of the default model has it.
    const SMOLLM2: &str = "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n\
        You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' \
        + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

    fn check(source: &str, turns: &[(&str, &str)], expected: &str) {
        let template = ChatTemplate::new(source.to_owned(), "<s>".to_owned(), "</s>".to_owned()).expect("the template compiles");
        let message = |(role, content): &(&str, &str)| Message { role: (*role).to_owned(), content: (*content).to_owned() };
        let messages: Vec<Message> = turns.iter().map(message).collect();
        let rendered = template.render(&messages).unwrap_or_else(|error| format!("error: {error}"));
        assert_eq!(rendered, expected);
    }

    /// The expected prompts are what Python's Jinja2 3.1.6 makes of the same templates, with `trim_blocks` and `lstrip_blocks`.
    #[test]
    fn prompts_are_those_of_jinja() {
        check(
            SMOLLM2,
            &[("user", "Hi"), ("assistant", "Hello <there> & \"you\""), ("user", "Bye")],
            "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n\
             <|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello <there> & \"you\"<|im_end|>\n\
             <|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n",
        );
        check(
            SMOLLM2,
            &[("system", "Be brief."), ("user", "Hi")],
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
        );
        check(
            "{{ bos_token }}\n{% for m in messages %}\n    {% if m.role == 'user' %}\n[{{ m['content'].strip().upper() }}]\n    {% endif %}\n\
             {% endfor %}\n{% if tools is not none %}tools{% endif %}{{ eos_token }}",
            &[("user", "  hi ")],
            "<s>\n[HI]\n</s>",
        );
        check("{{ messages[0].content | tojson }}", &[("user", "<é> & 'x'")], "\"<é> & 'x'\"");
    }

    #[test]
    fn a_template_may_refuse() {
        check("{{ raise_exception('no ' + messages[0].role) }}", &[("user", "")], "error: invalid operation: no user (in chat:1)");
    }
}
