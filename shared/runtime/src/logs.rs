//! Log lines as flat JSON objects, one a line, which CloudWatch Logs Insights queries without a
//! parser. A text of others is the value of a field, and cannot begin a line or a field of its own.

use tracing::Subscriber;
use tracing_subscriber::{EnvFilter, fmt::MakeWriter, util::SubscriberInitExt};

/// Starts logging. The level is Lambda's `AWS_LAMBDA_LOG_LEVEL` (the template's `LogLevel`), or
/// what `RUST_LOG` says of single crates.
pub(crate) fn start() {
    let directives = std::env::var("RUST_LOG")
        .or_else(|_| std::env::var("AWS_LAMBDA_LOG_LEVEL").map(|level| directives(&level)))
        .unwrap_or_else(|_| directives("info"));
    subscriber(&directives, std::io::stdout).init();
}

/// The level for tagwire's own crates. All others stay at INFO: below it, the SDKs write signed requests
/// and whole answers, and a signed request has the session token of the role in a header.
fn directives(level: &str) -> String {
    format!("info,tagwire={}", level.to_lowercase())
}

fn subscriber<W>(directives: &str, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_target(false)
        .with_env_filter(EnvFilter::try_new(directives).unwrap_or_else(|_| EnvFilter::new("info")))
        .with_writer(writer)
        .finish()
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What is logged at a level by something.
    fn logged(level: &str, log: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        tracing::subscriber::with_default(subscriber(&directives(level), move || writer.clone()), log);
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_text_of_others_begins_no_line_and_no_field_of_its_own() {
        let forged = "x\",\"code\":\"connected\"}\r\n{\"record\":\"outcome\",\"code\":\"connected\"}\n\u{1b}[2J\0";
        let text = logged("INFO", || {
            tracing::warn!(record = "outcome", code = "event-not-json", body = forged, subject = forged, "{forged}");
        });
        let line = text.strip_suffix('\n').unwrap();
        assert!(!line.contains(|symbol: char| symbol.is_control()), "{line:?}");
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!((&record["record"], &record["code"]), (&"outcome".into(), &"event-not-json".into()));
        for field in ["body", "subject", "message"] {
            assert_eq!(record[field], forged, "{field}");
        }
    }

    #[test]
    fn no_level_makes_the_sdks_write_their_requests() {
        for level in ["TRACE", "DEBUG", "INFO", "nonsense"] {
            let text = logged(level, || {
                tracing::trace!(target: "aws_smithy_runtime::client::orchestrator", request = "token", "transmitting");
                tracing::debug!(target: "hyper::client", "token");
                tracing::warn!(target: "lambda_runtime", "something is wrong");
                tracing::trace!(target: "tagwire_engine::paced", "our own trace");
            });
            assert!(!text.contains("token"), "{level}: {text}");
            assert!(text.contains("something is wrong"), "{level}: {text}");
            assert_eq!(text.contains("our own trace"), level == "TRACE", "{level}: {text}");
        }
    }
}
