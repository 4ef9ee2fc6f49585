//! The style sheet: colours that hold their contrast in light and in dark, one column on a phone. Nothing is loaded.

/// The whole style sheet.
pub(super) const STYLE: &str = r#"
:root {
  color-scheme: light dark;
  --page: #ffffff; --card: #f6f7f9; --line: #d5d9df; --text: #1b1f24; --quiet: #59636e;
  --pass: #1a7f37; --fail: #c5221f; --invalid: #9a6700; --on: #ffffff;
  --leader: #1f5fbf; --follower: #7fb2e5; --learner: #a779d9; --no-quorum: #e0a100; --down: #d9483b; --lane: #eceff2;
  --fault: #e8590c; --band: rgba(232, 89, 12, .16); --good: #4caf6d; --neutral: #98a2ad;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f1419; --card: #192028; --line: #343d48; --text: #e6e9ed; --quiet: #9aa6b2;
    --pass: #2c9a4b; --fail: #d9433c; --invalid: #b07d0c; --on: #ffffff;
    --leader: #5b9bf0; --follower: #35618f; --learner: #9566cc; --no-quorum: #c99407; --down: #d9483b; --lane: #222b35;
    --fault: #ff8540; --band: rgba(255, 133, 64, .2); --good: #3d9b5c; --neutral: #6a7681;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--page); color: var(--text); font: 16px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif; }
main { max-width: 72rem; margin: 0 auto; padding: 1rem 1rem 3rem; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .7rem; }
p { margin: 0; }
code, pre { font: .9em/1.4 ui-monospace, "DejaVu Sans Mono", monospace; }
pre { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: .4rem; padding: .6rem .8rem; margin: .4rem 0; }
.quiet { color: var(--quiet); }
.verdict { color: var(--on); border-radius: .6rem; padding: 1.2rem 1.4rem; }
.verdict.pass { background: var(--pass); } .verdict.fail { background: var(--fail); } .verdict.invalid { background: var(--invalid); }
.verdict .word { font-size: 2.4rem; font-weight: 800; letter-spacing: .04em; line-height: 1.1; }
.verdict .reason { font-size: 1.2rem; margin: .35rem 0 .6rem; overflow-wrap: anywhere; }
.verdict .meaning { opacity: .92; font-size: .92rem; }
.tiles { list-style: none; margin: .8rem 0 0; padding: 0; display: grid; gap: .6rem; grid-template-columns: repeat(6, 1fr); }
.tiles li { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .7rem; }
.tiles b { display: block; font-size: 1.25rem; white-space: nowrap; }
.tiles span { color: var(--quiet); font-size: .82rem; line-height: 1.25; display: block; }
.timeline { border: 1px solid var(--line); border-radius: .5rem; padding: .8rem; background: var(--card); }
.row { display: grid; grid-template-columns: 11rem 1fr; gap: .8rem; align-items: center; margin: .28rem 0; }
.row > .label { text-align: right; font-size: .86rem; overflow-wrap: anywhere; line-height: 1.2; }
.row > .label small { display: block; color: var(--quiet); font-size: .76rem; }
.group { margin: .9rem 0 .2rem; font-size: .78rem; font-weight: 700; text-transform: uppercase; letter-spacing: .06em; color: var(--quiet); padding-left: 11.8rem; }
.lane { position: relative; }
.lane svg { display: block; width: 100%; height: 1.35rem; border-radius: .2rem; background: var(--lane); }
.lane.tall svg { height: 3.4rem; }
.lane .scale { position: absolute; right: .3rem; top: .1rem; font-size: .7rem; color: var(--text); background: var(--lane); padding: 0 .2rem; border-radius: .2rem; opacity: .9; pointer-events: none; }
.axis { position: relative; height: 1.2rem; font-size: .76rem; color: var(--quiet); }
.axis span { position: absolute; transform: translateX(-50%); white-space: nowrap; }
.axis span:first-child { transform: none; }
.axis span.last { transform: translateX(-100%); }
.phases { position: relative; height: 1.35rem; font-size: .72rem; }
.phases span { position: absolute; top: 0; bottom: 0; overflow: hidden; white-space: nowrap; text-overflow: ellipsis; border-left: 1px solid var(--quiet); padding-left: .25rem; color: var(--quiet); }
.legend { display: flex; flex-wrap: wrap; gap: .2rem .9rem; font-size: .78rem; color: var(--quiet); padding-left: 11.8rem; margin-top: .7rem; }
.legend i { display: inline-block; width: .8em; height: .8em; border-radius: .15em; margin-right: .35em; vertical-align: -.05em; }
.leader { fill: var(--leader); background: var(--leader); } .follower { fill: var(--follower); background: var(--follower); }
.learner { fill: var(--learner); background: var(--learner); } .no-quorum { fill: var(--no-quorum); background: var(--no-quorum); }
.down { fill: var(--down); background: var(--down); } .absent { fill: none; }
.fault { fill: var(--fault); background: var(--fault); } .band { fill: var(--band); background: var(--band); }
.good { fill: var(--good); background: var(--good); } .bad { fill: var(--down); background: var(--down); }
.unknown { fill: var(--no-quorum); background: var(--no-quorum); } .neutral { fill: var(--neutral); background: var(--neutral); }
.action { fill: var(--leader); background: var(--leader); } .hold { fill: var(--no-quorum); background: var(--no-quorum); }
.line { fill: none; stroke: var(--text); stroke-width: 1.4; vector-effect: non-scaling-stroke; }
table { width: 100%; border-collapse: collapse; font-size: .92rem; }
th { text-align: left; font-size: .78rem; color: var(--quiet); font-weight: 600; padding: .3rem .6rem; border-bottom: 1px solid var(--line); }
td { vertical-align: top; padding: .5rem .6rem; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
td.tight { white-space: nowrap; }
.faults td:first-child { min-width: 9.5rem; } .faults td:nth-child(2), .faults td:last-child { min-width: 7.5rem; }
.mark { display: inline-block; min-width: 6.6em; text-align: center; font-size: .74rem; font-weight: 700; border-radius: .3rem; padding: .1rem .4rem; color: var(--on); background: var(--pass); white-space: nowrap; }
.mark.violated { background: var(--fail); } .mark.proves-nothing, .mark.not-checked { background: var(--invalid); }
.findings { margin: .35rem 0 0; padding-left: 1.1rem; }
.findings li { margin: .15rem 0; }
svg.calls { display: block; width: 100%; max-width: 44rem; margin: .35rem 0 .5rem; }
svg.calls text { font-size: 11px; fill: var(--text); } svg.calls rect { fill: var(--fault); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem; margin: 0; font-size: .92rem; }
dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere; }
details { margin-top: .8rem; } summary { cursor: pointer; color: var(--quiet); font-size: .92rem; }
@media (max-width: 60rem) { .tiles { grid-template-columns: repeat(3, 1fr); } }
@media (max-width: 40rem) {
  main { padding: .6rem .6rem 2rem; }
  .verdict { padding: .9rem 1rem; } .verdict .word { font-size: 2rem; } .verdict .reason { font-size: 1.05rem; }
  .tiles { grid-template-columns: repeat(2, 1fr); }
  .timeline { padding: .6rem; }
  .row { grid-template-columns: 1fr; gap: .1rem; margin: .45rem 0; }
  .row > .label { text-align: left; } .row > .label small { display: inline; margin-left: .4rem; }
  .row > .label:empty { display: none; }
  .group, .legend { padding-left: 0; }
  table, tbody, tr, td { display: block; } thead { display: none; }
  tr { border: 1px solid var(--line); border-radius: .5rem; background: var(--card); padding: .5rem .7rem; margin: .5rem 0; }
  td { border: 0; padding: .12rem 0; } td.tight { white-space: normal; }
  td[data-label]:not(:empty)::before { content: attr(data-label) ": "; color: var(--quiet); font-size: .8rem; }
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .5rem; }
}
@media print { .verdict { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"#;
