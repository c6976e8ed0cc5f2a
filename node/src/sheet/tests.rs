//! The rules of the import, one test each, on small sheets made here, and the two legacy sheets with
//! their known answer.
#![allow(clippy::unwrap_used)]

mod files;
mod legacy;
mod rules;

use std::path::PathBuf;

use tempfile::TempDir;
use yunling_protocol::day::UnixTime;
use yunling_protocol::profile::YUNNAN;

use super::*;

/// 2026-03-01 12:00 at UTC+8.
fn now() -> UnixTime {
    UnixTime::from_local(2026, 3, 1, 12, 0, 0).unwrap()
}

fn rules() -> Rules<'static> {
    Rules { now: now(), profile: &YUNNAN }
}

const HEADERS: [&str; 15] = [
    "姓名",
    "证件号码",
    "活动名称",
    "服务类别",
    "服务内容",
    "服务地点",
    "行政区划代码",
    "开始时间",
    "结束时间",
    "服务时长",
    "组织单位",
    "统一社会信用代码",
    "负责人",
    "录入方式",
    "备注",
];

/// A sound row; identity number invented, birth date 1900-01-01.
const SOUND: [&str; 15] = [
    "志愿者甲",
    "530102190001010019",
    "环境保护活动1",
    "环境保护",
    "清洁",
    "五华区翠湖社区",
    "530102",
    "2025-01-04 09:00",
    "2025-01-04 12:30",
    "3.5",
    "翠湖志愿服务队",
    "51530100MJ000000X8",
    "站长",
    "团体录入",
    "",
];

/// A sound row with some cells changed, by header.
fn row(changes: &[(&str, &str)]) -> Vec<String> {
    let change = |header: &str, cell: &str| {
        changes.iter().find(|(h, _)| *h == header).map_or(cell, |(_, value)| value).to_owned()
    };
    for (header, _) in changes {
        assert!(HEADERS.contains(header), "{header}");
    }
    HEADERS.iter().zip(SOUND).map(|(header, cell)| change(header, cell)).collect()
}

fn csv_of(rows: &[Vec<String>]) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(vec![]);
    for row in rows {
        writer.write_record(row).unwrap();
    }
    writer.into_inner().unwrap()
}

fn headed(rows: &[Vec<String>]) -> Vec<Vec<String>> {
    let mut all = vec![HEADERS.map(str::to_owned).to_vec()];
    all.extend_from_slice(rows);
    all
}

fn file(name: &str, content: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    (folder, path)
}

fn table_of(content: &[u8]) -> Table {
    let (_folder, path) = file("sheet.csv", content);
    read_sheet(&path, &Options::default()).unwrap()
}

fn judged(rows: &[Vec<String>]) -> (Table, Judged) {
    let table = table_of(&csv_of(&headed(rows)));
    let judged = judge(&table, &NothingYet, rules()).unwrap();
    (table, judged)
}

/// Result and codes (without remarks) of a single row with some cells changed.
fn verdict(changes: &[(&str, &str)]) -> (Outcome, Vec<&'static str>) {
    let (_, judged) = judged(&[row(changes)]);
    let verdict = &judged.verdicts[0];
    assert_eq!(verdict.record.is_some(), verdict.outcome > Outcome::Duplicate);
    let codes = verdict.findings.iter().filter(|f| f.outcome != Outcome::Accepted).map(|f| f.code);
    (verdict.outcome, codes.collect())
}

/// The record of a single row with some cells changed.
fn record(changes: &[(&str, &str)]) -> RowRecord {
    let (_, judged) = judged(&[row(changes)]);
    judged.records().next().unwrap().clone()
}
