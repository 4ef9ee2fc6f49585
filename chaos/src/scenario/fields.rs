//! Reads single fields of a scenario file, and says where they are wrong. Pure.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::error::{ScenarioError, Source};
use super::raw::At;
use super::{ClusterSize, Period};

/// Reads single fields and says where they are wrong.
pub(super) struct Fields<'a> {
    source: &'a Source<'a>,
}

impl<'a> Fields<'a> {
    /// The fields of one file.
    pub(super) fn of(source: &'a Source<'a>) -> Fields<'a> {
        Fields { source }
    }

    /// An error about a field.
    pub(super) fn error<T>(&self, field: &str, at: &At<T>, message: impl Into<String>) -> ScenarioError {
        self.source.error(Some(at.referenced), Some(field.to_owned()), message)
    }

    /// A text that is parsed into a type of its own.
    pub(super) fn parsed<T>(&self, field: &str, at: &At<String>) -> Result<T, ScenarioError>
    where
        T: FromStr,
        T::Err: Display,
    {
        at.value.parse().map_err(|error: T::Err| self.error(field, at, error.to_string()))
    }

    /// A size of a cluster.
    pub(super) fn size(&self, field: &str, at: &At<u64>) -> Result<ClusterSize, ScenarioError> {
        ClusterSize::new(at.value).map_err(|error| self.error(field, at, error.to_string()))
    }

    /// A duration within bounds.
    pub(super) fn period(
        &self,
        field: &str,
        at: &At<String>,
        bounds: RangeInclusive<Period>,
    ) -> Result<Period, ScenarioError> {
        let period: Period = self.parsed(field, at)?;
        if bounds.contains(&period) {
            return Ok(period);
        }
        let message = format!("{period} is out of bounds: write {} to {}", bounds.start(), bounds.end());
        Err(self.error(field, at, message))
    }

    pub(super) fn period_or(
        &self,
        field: &str,
        at: Option<&At<String>>,
        bounds: RangeInclusive<Period>,
        default: Period,
    ) -> Result<Period, ScenarioError> {
        at.map_or(Ok(default), |at| self.period(field, at, bounds))
    }

    pub(super) fn number_or(
        &self,
        field: &str,
        at: Option<&At<u64>>,
        bounds: RangeInclusive<u64>,
        default: u64,
    ) -> Result<u64, ScenarioError> {
        let Some(at) = at else { return Ok(default) };
        if bounds.contains(&at.value) {
            return Ok(at.value);
        }
        let message = format!("{} is out of bounds: write {} to {}", at.value, bounds.start(), bounds.end());
        Err(self.error(field, at, message))
    }

    pub(super) fn small_number_or(
        &self,
        field: &str,
        at: Option<&At<u64>>,
        bounds: RangeInclusive<u64>,
        default: u32,
    ) -> Result<u32, ScenarioError> {
        let number = self.number_or(field, at, bounds, u64::from(default))?;
        Ok(u32::try_from(number).expect("the bounds of these fields are below 2^32"))
    }
}
