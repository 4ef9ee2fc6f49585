//! Calls that contradict each other, drawn one below the other on one line of time. Pure.

use maud::{Markup, html};

use super::super::time::Span;
use crate::checker::CallSketch;

/// The width of the drawing, in units of its own.
const WIDTH: f64 = 640.0;
const ROW: usize = 34;
const LEAST: f64 = 3.0;

/// A bar for each call, from its beginning to its end.
pub(super) fn picture(calls: &[CallSketch], span: &Span) -> Markup {
    let first = calls.iter().map(|call| call.from).min().unwrap_or_default();
    let last = calls.iter().map(|call| call.until).max().unwrap_or_default();
    let whole = last.since(first).as_secs_f64().max(1e-9);
    let place = |at: crate::history::UnixNanoseconds| at.since(first).as_secs_f64() / whole * WIDTH;
    let height = calls.len() * ROW + 4;
    html! {
        svg.calls viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-label="The calls on a line of time" {
            @for (row, call) in calls.iter().enumerate() {
                text x="0" y=(row * ROW + 12) {
                    (call.name) ": " (call.outcome) " (" (span.seconds(call.from)) " to " (span.seconds(call.until)) ")"
                }
                rect x=(format!("{:.1}", place(call.from).min(WIDTH - LEAST))) y=(row * ROW + 18) height="8"
                    width=(format!("{:.1}", (place(call.until) - place(call.from)).max(LEAST))) {}
            }
        }
    }
}
