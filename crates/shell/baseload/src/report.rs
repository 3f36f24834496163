//! Diagnostics of a fleet file as text: the code, the message, the line, a caret, a hint.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use fleet::{Diagnostic, Severity};

/// Columns that a rendered line is cut to; long lines of the file are shown around the caret.
const WIDTH: usize = 120;

/// Renders what was found in a file, in order; what looks like a secret is not shown.
#[must_use]
pub fn render(file_name: &str, text: &str, diagnostics: &[Diagnostic], color: bool) -> String {
    let shown = fleet::masked(text, diagnostics);
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.decor_style(DecorStyle::Ascii).term_width(WIDTH);
    let mut report = String::new();
    for diagnostic in diagnostics {
        report.push_str(&renderer.render(&[group(file_name, &shown, diagnostic)]));
        report.push_str("\n\n");
    }
    report
}

fn group<'a>(file_name: &'a str, text: &'a str, diagnostic: &'a Diagnostic) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::NotComputed => Level::NOTE,
    };
    let primary = AnnotationKind::Primary.span(within(text, &diagnostic.span)).label(diagnostic.label.as_deref());
    let mut snippet = Snippet::source(text).path(file_name).annotation(primary);
    if let Some(related) = &diagnostic.related {
        snippet = snippet.annotation(AnnotationKind::Context.span(within(text, &related.span)).label(&related.label));
    }
    let title = level.primary_title(&diagnostic.message).id(diagnostic.code);
    title.element(snippet).element(Level::HELP.with_name("hint").message(&diagnostic.hint))
}

/// The span cut to the text, and to its first line when it has several.
fn within(text: &str, span: &core::ops::Range<usize>) -> core::ops::Range<usize> {
    let floor = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let (start, end) = (floor(span.start), floor(span.end));
    let line = text[start..].find('\n').map_or(text.len(), |length| start + length);
    start..end.clamp(start, line)
}

/// How much was found, in words: `2 errors, 1 warning`; empty when nothing was.
#[must_use]
pub fn summary(diagnostics: &[Diagnostic]) -> String {
    let kinds = [
        (Severity::Error, "error", "errors"),
        (Severity::Warning, "warning", "warnings"),
        (Severity::NotComputed, "not computed yet", "not computed yet"),
    ];
    let count = |severity: Severity| diagnostics.iter().filter(|it| it.severity == severity).count();
    let parts = kinds.map(|(severity, one, many)| (count(severity), one, many)).into_iter().filter(|(count, ..)| *count > 0);
    parts.map(|(count, one, many)| format!("{count} {}", if count == 1 { one } else { many })).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let text = "format = 1\nname = \"é\"\ncurrency = \"USD\"\nparties = { \"é\" = { rols = [] } }\n";
        let parsed = fleet::parse(text);
        let report = render("a.toml", text, &parsed.diagnostics, false);
        assert!(report.contains("--> a.toml:4:21"), "{report}");
    }

    #[test]
    fn no_report_shows_a_secret() {
        for line in [
            "key = \"sk-abcdefghijklmnopqrstuv\"",
            "key = \"sk-abcdefghijklmnopqrstuv",
            "api_key = \"opensesame\"",
            "api_key = \"opensesame",
        ] {
            let text = format!("format = 1\nname = \"x\"\ncurrency = \"USD\"\n[endpoints.e]\nmodel = \"m\"\n{line}\n");
            let report = render("a.toml", &text, &fleet::parse(&text).diagnostics, false);
            assert!(!report.contains("abcdef") && !report.contains("opensesame"), "{report}");
        }
    }

    #[test]
    fn spans_never_leave_the_text() {
        let far = Diagnostic {
            severity: Severity::Error,
            code: "BL0001",
            span: 1..99,
            message: "far".to_owned(),
            label: None,
            related: None,
            hint: "none".to_owned(),
        };
        assert!(render("a.toml", "é", &[far], true).contains("far"));
    }
}
