//! Log lines as flat JSON objects, one a line, which CloudWatch Logs Insights queries without a
//! parser.

use tracing_subscriber::EnvFilter;

/// Starts logging. The level is Lambda's `AWS_LAMBDA_LOG_LEVEL` (the template's `LogLevel`), or
/// what `RUST_LOG` says of single crates.
pub(crate) fn start() {
    let level = std::env::var("RUST_LOG")
        .or_else(|_| std::env::var("AWS_LAMBDA_LOG_LEVEL"))
        .unwrap_or_else(|_| "info".to_owned());
    let filter = EnvFilter::try_new(level.to_lowercase()).unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_target(false)
        .with_env_filter(filter)
        .init();
}
