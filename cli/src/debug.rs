//! `--debug`: a line on standard error for each call of AWS. Of what the SDKs tell, only the operation, the time and
//! the id of the request are taken, so nothing secret can be in a line.

use std::{fmt, time::Instant};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id},
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
    registry::{LookupSpan, Registry},
};

use crate::output::{FAINT, painted, tell};

/// The fields by which the SDKs name a call, and the answer to it.
const SERVICE: &str = "rpc.service";
const OPERATION: &str = "rpc.method";
const REQUEST_ID: &str = "request_id";

/// Begins to tell of calls.
pub(crate) fn begin() {
    let calls = Registry::default().with(Calls { tell });
    // There is none before this one.
    tracing::subscriber::set_global_default(calls).unwrap_or_default();
}

/// Listens to the SDKs.
struct Calls {
    tell: fn(&str),
}

/// A call that has begun.
struct SdkCall {
    service: String,
    operation: String,
    began: Instant,
    answer: Option<Answered>,
}

/// The answer to a call, with its request id if it had one.
struct Answered {
    request_id: Option<String>,
}

impl SdkCall {
    fn line(&self) -> String {
        let service = self.service.to_lowercase().replace(' ', "");
        let answer = match &self.answer {
            Some(Answered { request_id: Some(id) }) => format!("request {id}"),
            Some(Answered { request_id: None }) => "an answer without a request id".to_owned(),
            None => "no answer".to_owned(),
        };
        let milliseconds = self.began.elapsed().as_millis();
        painted(FAINT, &format!("debug: {service}:{} took {milliseconds} ms, {answer}", self.operation))
    }
}

fn has(metadata: &Metadata<'_>, name: &str) -> bool {
    metadata.fields().field(name).is_some()
}

impl<S: Subscriber + for<'span> LookupSpan<'span>> Layer<S> for Calls {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.is_span() && has(metadata, OPERATION) || metadata.is_event() && has(metadata, REQUEST_ID)
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let text = |name| {
            let mut read = ReadField { name, text: None };
            attributes.record(&mut read);
            read.text.unwrap_or_default()
        };
        let call = SdkCall { service: text(SERVICE), operation: text(OPERATION), began: Instant::now(), answer: None };
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(call);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut read = ReadField { name: REQUEST_ID, text: None };
        event.record(&mut read);
        if let Some(span) = context.event_span(event)
            && let Some(call) = span.extensions_mut().get_mut::<SdkCall>()
        {
            call.answer = Some(Answered { request_id: read.text });
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        if let Some(span) = context.span(&id)
            && let Some(call) = span.extensions().get::<SdkCall>()
        {
            (self.tell)(&call.line());
        }
    }
}

/// Reads one field.
struct ReadField {
    name: &'static str,
    text: Option<String>,
}

impl Visit for ReadField {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == self.name {
            self.text = Some(value.to_owned());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // The SDKs write the id as an option.
        let text = format!("{value:?}");
        let id = text.strip_prefix("Some(\"").and_then(|id| id.strip_suffix("\")"));
        if let (true, Some(id)) = (field.name() == self.name, id) {
            self.text = Some(id.chars().filter(char::is_ascii_graphic).collect());
        }
    }
}
