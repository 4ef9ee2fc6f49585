//! Reports: pure functions from a record and its judgement to HTML, JSON, Markdown and JUnit.
