//! Files: formats, headers, encodings, limits and what is refused whole.

use rust_xlsxwriter::{ExcelDateTime, Format, Formula, Workbook};
use yunling_protocol::minutes::Minutes;
use yunling_protocol::statement::When;

use super::*;

fn read(name: &str, content: &[u8], options: &Options) -> Result<Table, SheetError> {
    let (_folder, path) = file(name, content);
    read_sheet(&path, options)
}

fn refusal(name: &str, content: &[u8]) -> &'static str {
    read(name, content, &Options::default()).unwrap_err().code()
}

/// A workbook whose first sheet holds the rows from `top` on, all as text.
fn workbook(top: u32, rows: &[Vec<String>]) -> Workbook {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    for (r, row) in rows.iter().enumerate() {
        for (c, cell) in row.iter().enumerate() {
            sheet.write_string(top + r as u32, c as u16, cell).unwrap();
        }
    }
    workbook
}

#[test]
fn a_title_above_the_header_and_decorated_headers_are_no_obstacle() {
    let mut rows = headed(&[row(&[])]);
    rows[0][0] = " *姓 名（必填）".into();
    rows[0][9] = "服务时间（小时）".into();
    let mut workbook = workbook(3, &rows);
    let bold = Format::new().set_bold();
    workbook.worksheet_from_index(0).unwrap().merge_range(0, 0, 1, 14, "志愿服务记录汇总表", &bold).unwrap();
    let table = read("a.xlsx", &workbook.save_to_buffer().unwrap(), &Options::default()).unwrap();
    assert_eq!((table.header_row, table.columns.len()), (4, 15));
    let judged = judge(&table, &NothingYet, rules()).unwrap();
    assert_eq!(judged.verdicts[0].row, 5);
    assert_eq!(judged.report(&table).accepted, 1);
}

#[test]
fn a_header_of_two_rows_with_merged_cells_is_understood() {
    let mut upper = HEADERS.map(str::to_owned).to_vec();
    let mut lower = vec![String::new(); 15];
    upper[7] = "服务时间".into();
    upper[8] = String::new();
    lower[7] = "开始时间".into();
    lower[8] = "结束时间".into();
    let rows = [upper, lower, row(&[])];
    let table = read("a.csv", &csv_of(&rows), &Options::default()).unwrap();
    assert_eq!((table.header_row, table.columns.len()), (2, 15));
    assert_eq!(judge(&table, &NothingYet, rules()).unwrap().report(&table).accepted, 1);
}

#[test]
fn every_encoding_of_a_text_gives_the_same_records() {
    let text = String::from_utf8(csv_of(&headed(&[row(&[("姓名", "𬭎岩温·罕")])]))).unwrap();
    let (gb, _, _) = encoding_rs::GB18030.encode(&text);
    let tabs = text.replace(',', "\t");
    let utf16: Vec<u8> =
        [0xff, 0xfe].into_iter().chain(tabs.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    for content in [text.as_bytes().to_vec(), [b"\xef\xbb\xbf", text.as_bytes()].concat(), gb.to_vec(), utf16]
    {
        let table = read("a.csv", &content, &Options::default()).unwrap();
        let judged = judge(&table, &NothingYet, rules()).unwrap();
        assert_eq!(judged.records().next().unwrap().name, "𬭎岩温·罕");
    }
}

#[test]
fn number_and_date_cells_are_taken_by_their_type() {
    let mut workbook =
        workbook(0, &headed(&[row(&[]), row(&[("活动名称", "乙")]), row(&[("活动名称", "丙")])]));
    let sheet = workbook.worksheet_from_index(0).unwrap();
    let date = Format::new().set_num_format("yyyy-mm-dd hh:mm");
    let length = Format::new().set_num_format("[h]:mm");
    let at = |day, h, m| ExcelDateTime::from_ymd(2025, 1, day).unwrap().and_hms(h, m, 0).unwrap();
    sheet.write_datetime_with_format(1, 7, at(4, 9, 0), &date).unwrap();
    sheet.write_datetime_with_format(1, 8, at(4, 12, 30), &date).unwrap();
    sheet.write_number_with_format(1, 9, 3.5 / 24.0, &length).unwrap();
    sheet.write_number(1, 6, 530_102).unwrap();
    sheet.write_number(2, 7, 45_662.375).unwrap();
    sheet.write_formula(2, 8, Formula::new("=H3+1/8").set_result("45662.5")).unwrap();
    sheet.write_number(2, 9, 3).unwrap();
    // An identity number in a number cell has lost its end, whatever its checksum says now.
    sheet.write_number(3, 1, 530_102_190_001_010_019.0).unwrap();
    let table = read("a.xlsx", &workbook.save_to_buffer().unwrap(), &Options::default()).unwrap();
    let judged = judge(&table, &NothingYet, rules()).unwrap();
    let minutes: Vec<Minutes> = judged.records().map(|r| r.minutes).collect();
    assert_eq!(minutes, [Minutes(210), Minutes(180)]);
    assert!(judged.records().all(|r| matches!(r.when, When::Clock { .. }) && r.division.is_some()));
    assert_eq!(judged.verdicts[2].findings[0].code, "id-truncated");
}

#[test]
fn a_midnight_end_in_a_number_cell_is_a_time_and_not_a_day() {
    let mut workbook = workbook(0, &headed(&[row(&[("服务时长", "2")])]));
    let sheet = workbook.worksheet_from_index(0).unwrap();
    sheet.write_number(1, 7, 45_661.0 + 22.0 / 24.0).unwrap();
    sheet.write_number(1, 8, 45_662).unwrap();
    let table = read("a.xlsx", &workbook.save_to_buffer().unwrap(), &Options::default()).unwrap();
    let judged = judge(&table, &NothingYet, rules()).unwrap();
    let record = judged.records().next().unwrap();
    assert!(matches!(record.when, When::Clock { start, end } if end.0 - start.0 == 7200));
}

#[test]
fn a_day_column_with_clock_columns_and_minutes_in_the_header() {
    let headers = [
        "日期",
        "开始时间",
        "结束时间",
        "时长(分钟)",
        "姓名",
        "身份证号",
        "项目名称",
        "内容",
        "地点",
        "服务队",
    ];
    let cells = [
        "2025年1月4日",
        "9:00",
        "12:30",
        "210",
        "志愿者甲",
        "530102190001010019",
        "甲",
        "清洁",
        "翠湖",
        "翠湖队",
    ];
    let rows = [headers.map(str::to_owned).to_vec(), cells.map(str::to_owned).to_vec()];
    let table = read("a.csv", &csv_of(&rows), &Options::default()).unwrap();
    let judged = judge(&table, &NothingYet, rules()).unwrap();
    let record = judged.records().next().unwrap();
    assert_eq!(record.minutes, Minutes(210));
    assert!(matches!(record.when, When::Clock { .. }));
}

#[test]
fn columns_are_named_by_hand_and_wrong_names_are_refused() {
    let mut rows = headed(&[row(&[])]);
    rows[0][9] = "服务时间".into();
    rows[0][8] = "何时完".into();
    rows[0][10] = "谁办的".into();
    let content = csv_of(&rows);
    let error = read("a.csv", &content, &Options::default()).unwrap_err();
    assert_eq!(error.code(), "sheet-columns-missing");
    assert!(error.to_string().contains("组织单位"), "{error}");
    let mut options = Options::default();
    for argument in ["服务时间=hours", "何时完=结束时间", "谁办的＝organization", "备注=-"] {
        options.map_column(argument).unwrap();
    }
    let table = read("a.csv", &content, &options).unwrap();
    assert_eq!(table.columns.len(), 14);
    assert_eq!(judge(&table, &NothingYet, rules()).unwrap().report(&table).accepted, 1);
    for wrong in ["服务时间", "=hours", "服务时间=何物"] {
        assert_eq!(options.map_column(wrong).unwrap_err().code(), "sheet-map-field");
    }
    options.map_column("没有的列=name").unwrap();
    assert_eq!(read("a.csv", &content, &options).unwrap_err().code(), "sheet-map-column");
}

#[test]
fn the_better_of_two_columns_for_one_field_is_taken() {
    let mut rows = headed(&[row(&[])]);
    rows[0].insert(0, "单位".into());
    rows[1].insert(0, "某局".into());
    let table = read("a.csv", &csv_of(&rows), &Options::default()).unwrap();
    assert_eq!(table.header(Field::Organization), Some("组织单位"));
}

#[test]
fn a_worksheet_is_chosen_by_name_by_place_or_by_its_header() {
    let mut book = Workbook::new();
    book.add_worksheet().set_name("说明").unwrap().write_string(0, 0, "填表说明").unwrap();
    for (name, activity) in [("一月", "甲"), ("二月", "乙")] {
        let sheet = book.add_worksheet().set_name(name).unwrap();
        for (r, cells) in headed(&[row(&[("活动名称", activity)])]).iter().enumerate() {
            for (c, cell) in cells.iter().enumerate() {
                sheet.write_string(r as u32, c as u16, cell).unwrap();
            }
        }
    }
    let content = book.save_to_buffer().unwrap();
    let chosen = |sheet: Option<&str>| {
        let options = Options { sheet: sheet.map(str::to_owned), ..Options::default() };
        read("a.xlsx", &content, &options)
    };
    let first = chosen(None).unwrap();
    assert_eq!(first.sheet, "一月");
    assert_eq!(first.other_sheets, ["说明", "二月"]);
    assert_eq!(chosen(Some("二月")).unwrap().sheet, "二月");
    assert_eq!(chosen(Some("3")).unwrap().sheet, "二月");
    assert_eq!(chosen(Some("说明")).unwrap_err().code(), "sheet-header-missing");
    let error = chosen(Some("三月")).unwrap_err();
    assert_eq!(error.code(), "sheet-unknown");
    assert!(error.to_string().contains("二月"));
}

#[test]
fn a_protected_or_foreign_file_is_refused_whole_with_the_remedy() {
    let mut encrypted = vec![0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1];
    encrypted.extend([0; 1024]);
    encrypted.extend("EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes));
    assert_eq!(refusal("a.xlsx", &encrypted), "sheet-password");
    assert_eq!(refusal("a.xls", b"\xd0\xcf\x11\xe0 nothing else"), "sheet-unreadable");
    assert_eq!(refusal("a.xlsx", b"PK\x03\x04 nothing else"), "sheet-unreadable");
    assert_eq!(refusal("a.xls", "<html><table>姓名</table>".as_bytes()), "sheet-not-a-sheet");
    assert_eq!(refusal("a.pdf", b"%PDF-1.7"), "sheet-not-a-sheet");
    assert_eq!(refusal("a.csv", b""), "sheet-header-missing");
    assert_eq!(refusal("a.csv", b"\xff\xff\xff\xff"), "sheet-encoding");
    assert_eq!(refusal("a.csv", b"a\0b"), "sheet-encoding");
    let missing = read_sheet(std::path::Path::new("/nonexistent/a.csv"), &Options::default());
    assert_eq!(missing.unwrap_err().code(), "sheet-io");
}

#[test]
fn limits_name_the_row() {
    let mut wide = headed(&[row(&[])]);
    wide[1].resize(300, "x".into());
    assert!(matches!(
        read("a.csv", &csv_of(&wide), &Options::default()),
        Err(SheetError::TooManyColumns { row: 2, .. })
    ));
    let long = "长".repeat(32_768);
    let content = csv_of(&headed(&[row(&[("备注", &long)])]));
    assert!(matches!(
        read("a.csv", &content, &Options::default()),
        Err(SheetError::CellTooLong { row: 2, .. })
    ));
}

#[test]
fn one_value_in_the_far_corner_does_not_become_a_full_rectangle() {
    let mut workbook = workbook(0, &headed(&[row(&[])]));
    workbook.worksheet_from_index(0).unwrap().write_string(1_048_575, 0, "备注").unwrap();
    let table = read("a.xlsx", &workbook.save_to_buffer().unwrap(), &Options::default()).unwrap();
    assert_eq!(table.rows.len(), 2);
    let judged = judge(&table, &NothingYet, rules()).unwrap();
    let report = judged.report(&table);
    assert_eq!((report.skipped_blank, report.refused_rows), (1_048_573, vec![1_048_576]));
}

#[test]
fn an_old_binary_workbook_is_read() {
    let rows = headed(&[row(&[]), row(&[("服务地点", "")])]);
    let table = read("a.xls", &crate::sheet::binary::tests::xls(&rows), &Options::default()).unwrap();
    assert_eq!(table.sheet, "记录");
    let report = judge(&table, &NothingYet, rules()).unwrap().report(&table);
    assert_eq!((report.accepted, report.refused_rows), (1, vec![3]));
}

/// Files of the old formats for the decoder tests: `cargo test -p yunling-node -- --ignored seeds`.
#[test]
#[ignore = "writes seeds"]
fn the_seeds_of_the_old_formats_are_written() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/seeds/sheet");
    std::fs::create_dir_all(&folder).unwrap();
    let rows = headed(&[row(&[]), row(&[("服务地点", "")])]);
    std::fs::write(folder.join("old.xls"), crate::sheet::binary::tests::xls(&rows)).unwrap();
    std::fs::write(folder.join("open.ods"), open_document()).unwrap();
}

/// A document with a date, a duration and repeated rows.
fn open_document() -> Vec<u8> {
    let mut content = String::from(
        "<office:document-content><office:body><office:spreadsheet><table:table table:name=\"记录\">\
         <table:table-row table:number-rows-repeated=\"2\"><table:table-cell/></table:table-row>",
    );
    for (r, cells) in headed(&[row(&[])]).iter().enumerate() {
        content.push_str("<table:table-row>");
        for (c, text) in cells.iter().enumerate() {
            let cell = match (r, c) {
                (1, 7) => {
                    "<table:table-cell office:value-type=\"date\" office:date-value=\"2025-01-04T09:00:00\"/>"
                }
                (1, 9) => "<table:table-cell office:value-type=\"time\" office:time-value=\"PT03H30M00S\"/>",
                _ if text.is_empty() => "<table:table-cell/>",
                _ => {
                    let cell = format!(
                        "<table:table-cell office:value-type=\"string\"><text:p>{text}</text:p></table:table-cell>"
                    );
                    content.push_str(&cell);
                    continue;
                }
            };
            content.push_str(cell);
        }
        content.push_str("</table:table-row>");
    }
    content.push_str("</table:table></office:spreadsheet></office:body></office:document-content>");
    crate::sheet::unpacked::tests::package_of(&open_document_files(content.as_bytes()))
}

fn open_document_files(content: &[u8]) -> [(&'static str, &[u8]); 3] {
    [
        ("mimetype", b"application/vnd.oasis.opendocument.spreadsheet".as_slice()),
        ("META-INF/manifest.xml", b"<manifest:manifest/>"),
        ("content.xml", content),
    ]
}

#[test]
fn an_open_document_is_read_with_its_typed_cells() {
    let package = open_document();
    let table = read("a.ods", &package, &Options::default()).unwrap();
    assert_eq!((table.sheet.as_str(), table.header_row), ("记录", 3));
    let judged = judge(&table, &NothingYet, rules()).unwrap();
    assert_eq!(judged.verdicts[0].row, 4);
    let record = judged.records().next().unwrap();
    assert_eq!((record.minutes, record.stated.unwrap().value), (Minutes(210), 210));
    assert!(matches!(record.when, When::Clock { .. }));

    let encrypted: &[u8] = b"<manifest:manifest><manifest:file-entry><manifest:encryption-data>\
        </manifest:encryption-data></manifest:file-entry></manifest:manifest>";
    let files = open_document_files(b"");
    let locked = crate::sheet::unpacked::tests::package_of(&[files[0], (files[1].0, encrypted), files[2]]);
    assert_eq!(refusal("a.ods", &locked), "sheet-password");
}

#[test]
fn what_is_merged_over_several_volunteers_holds_for_each_but_never_hours() {
    let people = [("530102190001010019", ""), ("532901190001010026", ""), ("53290119000101019X", "")];
    let blank = [("活动名称", ""), ("服务地点", ""), ("开始时间", ""), ("服务时长", "")];
    let rows: Vec<Vec<String>> = people
        .iter()
        .enumerate()
        .map(|(i, (id, _))| {
            let mut changes = vec![("证件号码", *id)];
            changes.extend(if i > 0 { &blank[..] } else { &[] });
            row(&changes)
        })
        .collect();
    let mut workbook = workbook(0, &headed(&rows));
    let sheet = workbook.worksheet_from_index(0).unwrap();
    let plain = Format::new();
    for column in [2, 5, 7, 9] {
        let text = SOUND[column as usize];
        sheet.merge_range(1, column, 3, column, text, &plain).unwrap();
    }
    let table = read("a.xlsx", &workbook.save_to_buffer().unwrap(), &Options::default()).unwrap();
    let judged = judge(&table, &NothingYet, rules()).unwrap();
    let stated: Vec<bool> = judged.records().map(|r| r.stated.is_some()).collect();
    assert_eq!(stated, [true, false, false]);
    assert_eq!(judged.report(&table).accepted, 3);
}

#[test]
fn the_name_of_a_file_decides_nothing() {
    let content = csv_of(&headed(&[row(&[])]));
    for name in ["a.xlsx", "a.xls", "a.ods", "a", "a.txt"] {
        assert_eq!(read(name, &content, &Options::default()).unwrap().rows.len(), 1);
    }
}

#[test]
fn refused_rows_are_written_as_text_and_never_over_the_sheet_itself() {
    let rows = headed(&[row(&[("服务内容", "=1+1"), ("服务地点", ""), ("服务时长", "0")]), row(&[])]);
    let (folder, path) = file("a.csv", &csv_of(&rows));
    let table = read_sheet(&path, &Options::default()).unwrap();
    let judged = judge(&table, &NothingYet, rules()).unwrap();
    let headers = ReasonHeaders { row: "原行号", reason: "原因" };
    let over = write_refused_xlsx(&judged, &table, &path, headers, |f| f.code.into()).unwrap_err();
    assert_eq!(over.code(), "refused-over-source");
    let report = folder.path().join("refused.xlsx");
    assert_eq!(write_refused_xlsx(&judged, &table, &report, headers, |f| f.code.into()).unwrap(), 1);
    let again = read_sheet(&report, &Options::default()).unwrap();
    assert_eq!(again.headers.last().map(String::as_str), Some("原因"));
    let cells = &again.rows[0].cells;
    assert_eq!(cells[4], Cell::Text("=1+1".into()));
    assert_eq!(cells[15], Cell::Number(2.0));
    assert_eq!(cells[16], Cell::Text("place-empty；minutes-zero".into()));
    let bytes = std::fs::read(&report).unwrap();
    let names = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(names, 2, "no part file is left");
    assert!(bytes.starts_with(b"PK"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&report).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
