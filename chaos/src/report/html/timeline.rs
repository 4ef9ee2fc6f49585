//! The timeline: lanes above each other on one axis. Each lane is a small SVG that stretches to the width of the page;
//! all words are HTML beside it, so that they stay readable on a phone. Pure.

use maud::{Markup, html};

use super::super::lanes::{self, Bucket, MemberState, Segment};
use super::super::time::Span;
use crate::checker::{Judgement, Outcome, Story, Timeline, human};
use crate::history::UnixNanoseconds;
use crate::record::{ConditionStatus, Event, KubernetesEvent, RunRecord};

/// How finely the clients' lanes are drawn: about two bars for each millimetre of a phone.
const BUCKETS: usize = 150;
/// The name under which the operator reports Events.
const OPERATOR: &str = "etcd-operator";

/// The whole timeline.
pub(super) fn section(
    record: &RunRecord,
    judgement: &Judgement,
    timeline: &Timeline<'_>,
    span: &Span,
) -> Markup {
    let lane = Lane { span, faults: &timeline.faults };
    html! {
        h2 { "What happened when" }
        div.timeline {
            (phases(record, span))
            div.group { "Faults" }
            @for story in &timeline.faults { (fault(&lane, story)) }
            div.group { "Members, as the probe saw them" }
            @for (name, segments) in lanes::members(timeline) { (member(&lane, &name, &segments)) }
            div.group { "Clients" }
            (clients(&lane, record))
            div.group { "Operator" }
            (operator(&lane, record))
            @for kind in ["Available", "Ready"] { (condition(&lane, kind, timeline)) }
            div.group { "Assertions" }
            (violations(&lane, judgement))
            (axis(span))
            (legend())
        }
        (operator_list(record, span))
    }
}

/// What every lane draws: the axis and the bands of the faults.
struct Lane<'a> {
    span: &'a Span,
    faults: &'a [Story<'a>],
}

impl Lane<'_> {
    fn row(&self, label: &Markup, tall: bool, marks: &Markup, scale: Option<&str>) -> Markup {
        html! {
            div.row {
                div.label { (label) }
                div class=(if tall { "lane tall" } else { "lane" }) {
                    svg viewBox="0 0 1000 100" preserveAspectRatio="none" role="img" {
                        @for story in self.faults {
                            @if let Some((from, until)) = extent(story) {
                                (self.bar(from, until, "band", "", 0, 100))
                            }
                        }
                        (marks)
                    }
                    @if let Some(scale) = scale { span.scale { (scale) } }
                }
            }
        }
    }

    /// A bar of at least four thousandths, so that an instant is still seen.
    fn bar(
        &self,
        from: UnixNanoseconds,
        until: UnixNanoseconds,
        class: &str,
        title: &str,
        top: u32,
        height: u32,
    ) -> Markup {
        let x = self.span.place(from);
        let width = (self.span.place(until) - x).max(4.0);
        let (x, width) = (format!("{x:.1}"), format!("{width:.1}"));
        html! {
            rect class=(class) x=(x) y=(top) width=(width) height=(height) {
                @if !title.is_empty() { title { (title) } }
            }
        }
    }
}

fn extent(story: &Story<'_>) -> Option<(UnixNanoseconds, UnixNanoseconds)> {
    let from = story.injecting.or(story.injected)?;
    Some((from, story.healed.or(story.injected).unwrap_or(from)))
}

fn label(text: &str, small: &str) -> Markup {
    html! { (text) @if !small.is_empty() { small { (small) } } }
}

fn phases(record: &RunRecord, span: &Span) -> Markup {
    let starts: Vec<(UnixNanoseconds, String)> = record
        .events
        .iter()
        .filter_map(|line| match &line.event {
            Event::Phase { phase } => Some((line.at, phase.to_string())),
            _ => None,
        })
        .collect();
    let ends = starts.iter().skip(1).map(|(at, _)| *at).chain([span.end()]);
    let parts: Vec<(f64, f64, &str)> = starts
        .iter()
        .zip(ends)
        .map(|((from, name), until)| (span.place(*from) / 10.0, span.place(until) / 10.0, name.as_str()))
        .collect();
    html! {
        div.row {
            div.label { "Phase" }
            div.phases {
                @for (from, until, name) in parts {
                    span title=(name) style=(format!("left:{from:.2}%;width:{:.2}%", until - from)) { (name) }
                }
            }
        }
    }
}

fn fault(lane: &Lane<'_>, story: &Story<'_>) -> Markup {
    let what = format!("{} → {}", story.title, story.step.target);
    let marks = extent(story).map(|(from, until)| {
        let lasted = human::duration(until.since(from));
        let title = format!("{}: {what}, from {} for {lasted}", story.step.name, lane.span.seconds(from));
        lane.bar(from, until, "fault", &title, 12, 76)
    });
    let small = if marks.is_some() { what } else { format!("{what}: never injected") };
    lane.row(
        &label(story.step.name.as_str(), &small),
        false,
        &html! { @if let Some(marks) = marks { (marks) } },
        None,
    )
}

fn member(lane: &Lane<'_>, name: &str, segments: &[Segment<MemberState>]) -> Markup {
    let marks = html! {
        @for Segment { from, until, state } in segments {
            @if *state != MemberState::Absent {
                @let title = format!(
                    "{name}: {} from {} for {}",
                    state.word(), lane.span.seconds(*from), human::duration(until.since(*from))
                );
                (lane.bar(*from, *until, state.word(), &title, 22, 56))
            }
        }
    };
    lane.row(&label(name, ""), false, &marks, None)
}

fn clients(lane: &Lane<'_>, record: &RunRecord) -> Markup {
    let buckets = lanes::clients(record, lane.span, BUCKETS);
    let most =
        buckets.iter().map(|bucket| bucket.acknowledged + bucket.failed + bucket.unknown).max().unwrap_or(0);
    let seconds = lane.span.length() as f64 / 1e9 / BUCKETS as f64;
    let rate = format!("{:.0} calls a second", most as f64 / seconds);
    let slowest = buckets.iter().map(|bucket| bucket.latency).max().unwrap_or(0);
    let slowest_words = human::duration(std::time::Duration::from_nanos(slowest));
    html! {
        (lane.row(&label("Calls", "by outcome"), true, &outcomes(&buckets, most), Some(&rate)))
        (lane.row(&label("Latency", "99th percentile, logarithmic"), true, &latency(&buckets, slowest), Some(&slowest_words)))
    }
}

/// Stacked bars: acknowledged at the bottom, unknown above, refused on top.
fn outcomes(buckets: &[Bucket], most: u64) -> Markup {
    let width = 1000.0 / buckets.len() as f64;
    html! {
        @for (index, bucket) in buckets.iter().enumerate() {
            @let x = format!("{:.1}", index as f64 * width);
            @for (class, top, high) in stack(bucket, most) {
                rect class=(class) x=(x) y=(format!("{top:.1}")) width=(format!("{:.1}", width + 0.2)) height=(format!("{high:.1}")) {
                    title { (bucket.acknowledged) " acknowledged, " (bucket.unknown) " unknown, " (bucket.failed) " refused" }
                }
            }
        }
    }
}

/// The bars of one part of the run: class, top and height, of hundred.
fn stack(bucket: &Bucket, most: u64) -> Vec<(&'static str, f64, f64)> {
    let mut top = 100.0;
    let mut bars = Vec::new();
    for (count, class) in [(bucket.acknowledged, "good"), (bucket.unknown, "unknown"), (bucket.failed, "bad")]
    {
        let high = count as f64 / most.max(1) as f64 * 92.0;
        top -= high;
        if count > 0 {
            bars.push((class, top, high));
        }
    }
    bars
}

/// A line that breaks where nothing was acknowledged: no answer is not a quick answer.
fn latency(buckets: &[Bucket], slowest: u64) -> Markup {
    const QUICKEST: f64 = 100_000.0;
    let width = 1000.0 / buckets.len() as f64;
    let range = (slowest as f64 / QUICKEST).max(10.0).ln();
    let place = |nanoseconds: u64| {
        let part = (nanoseconds as f64 / QUICKEST).max(1.0).ln() / range;
        96.0 - part * 86.0
    };
    let mut path = String::new();
    let mut drawing = false;
    for (index, bucket) in buckets.iter().enumerate() {
        if bucket.acknowledged == 0 {
            drawing = false;
            continue;
        }
        let command = if drawing { 'L' } else { 'M' };
        let (x, y) = ((index as f64 + 0.5) * width, place(bucket.latency));
        path.push_str(&format!("{command}{x:.1} {y:.1}"));
        if !drawing {
            // A lone point would not be drawn.
            path.push_str(&format!("L{:.1} {y:.1}", x + 0.5));
        }
        drawing = true;
    }
    html! { path.line d=(path) {} }
}

/// Whether an Event of the operator says that it holds something back.
fn is_hold(event: &KubernetesEvent) -> bool {
    event.action == "Hold" || event.reason.contains("Held") || event.kind == "Warning"
}

fn operator_events<'a>(record: &'a RunRecord) -> Vec<(UnixNanoseconds, &'a KubernetesEvent)> {
    let of_operator = |event: &KubernetesEvent| event.reporter.contains(OPERATOR);
    let events = record.events.iter().filter_map(|line| match &line.event {
        Event::Kubernetes(event) if of_operator(event) => Some((line.at, event)),
        _ => None,
    });
    events.collect::<Vec<(UnixNanoseconds, &'a KubernetesEvent)>>()
}

fn operator(lane: &Lane<'_>, record: &RunRecord) -> Markup {
    let events = operator_events(record);
    let (holds, actions): (Vec<_>, Vec<_>) = events.into_iter().partition(|(_, event)| is_hold(event));
    let marks = |events: &[(UnixNanoseconds, &KubernetesEvent)], class: &str| {
        html! {
            @for (at, event) in events {
                @let title = format!("{}: {}: {}", lane.span.seconds(*at), event.reason, event.note);
                (lane.bar(*at, at.plus_nanoseconds(lane.span.length() / 250), class, &title, 12, 76))
            }
        }
    };
    html! {
        (lane.row(&label("Actions", &actions.len().to_string()), false, &marks(&actions, "action"), None))
        (lane.row(&label("Holds", &holds.len().to_string()), false, &marks(&holds, "hold"), None))
    }
}

fn condition(lane: &Lane<'_>, kind: &str, timeline: &Timeline<'_>) -> Markup {
    let marks = html! {
        @for Segment { from, until, state } in lanes::condition(timeline, kind, lane.span) {
            @let (class, word) = match state {
                ConditionStatus::True => ("good", "True"),
                ConditionStatus::False => ("bad", "False"),
                ConditionStatus::Unknown => ("neutral", "Unknown"),
            };
            @let title = format!("{kind}={word} from {} for {}", lane.span.seconds(from), human::duration(until.since(from)));
            (lane.bar(from, until, class, &title, 30, 40))
        }
    };
    lane.row(&label(kind, "status condition"), false, &marks, None)
}

fn violations(lane: &Lane<'_>, judgement: &Judgement) -> Markup {
    let wrong = judgement.assertions.iter().filter(|assertion| assertion.outcome != Outcome::Held);
    let marks: Vec<(UnixNanoseconds, &str)> = wrong
        .flat_map(|assertion| &assertion.findings)
        .filter_map(|finding| Some((finding.at?, finding.text.as_str())))
        .collect();
    let small = match marks.len() {
        0 => "none at a moment".to_owned(),
        some => some.to_string(),
    };
    let drawn = html! {
        @for (at, text) in &marks {
            (lane.bar(*at, at.plus_nanoseconds(lane.span.length() / 200), "bad", text, 0, 100))
        }
    };
    lane.row(&label("Violations", &small), false, &drawn, None)
}

fn axis(span: &Span) -> Markup {
    html! {
        div.row {
            div.label {}
            div.axis {
                @for (at, label) in span.ticks() {
                    @let place = span.place(at) / 10.0;
                    span class=[(place > 95.0).then_some("last")] style=(format!("left:{place:.2}%")) { (label) }
                }
            }
        }
    }
}

fn legend() -> Markup {
    let entries = [
        ("fault", "fault"),
        ("leader", "leader, action"),
        ("follower", "follower"),
        ("learner", "learner"),
        ("no-quorum", "no quorum read, unknown outcome, hold"),
        ("down", "down, refused, False"),
        ("good", "acknowledged, True"),
    ];
    html! {
        div.legend {
            @for (class, word) in entries { span { i class=(class) {} (word) } }
        }
    }
}

fn operator_list(record: &RunRecord, span: &Span) -> Markup {
    let events = operator_events(record);
    html! {
        @if !events.is_empty() {
            details {
                summary { "What the operator said (" (events.len()) ")" }
                table {
                    thead { tr { th { "When" } th { "What" } th { "In its words" } } }
                    tbody {
                        @for (at, event) in events {
                            tr {
                                td.tight { (span.seconds(at)) }
                                td { (event.reason) @if is_hold(event) { " (hold)" } }
                                td { (event.note) span.quiet { " · " (event.regarding) } }
                            }
                        }
                    }
                }
            }
        }
    }
}
