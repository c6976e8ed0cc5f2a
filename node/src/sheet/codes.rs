//! National code lists that legacy sheets name by their labels: service categories, beneficiaries,
//! entry ways (DOMAIN c-2, c-3, c-5).
//!
//! A label that is no national one is kept as it stands: on transfer nothing local is dropped.

use yunling_protocol::statement::{Code, EntryWay, Grade};

use super::text::compact;

/// Service categories (服务类别).
const CATEGORIES: [(&str, &str); 21] = [
    ("0001", "社区服务"),
    ("0002", "扶贫减贫"),
    ("0003", "支教助学"),
    ("0004", "卫生健康"),
    ("0005", "法律服务"),
    ("0006", "环境保护"),
    ("0007", "科技科普"),
    ("0008", "文化艺术"),
    ("0009", "平安综治"),
    ("0010", "文明风尚"),
    ("0011", "交通引导"),
    ("0012", "志愿消防"),
    ("0013", "应急救援"),
    ("0014", "禁毒宣传"),
    ("0015", "体育健身"),
    ("0016", "旅游服务"),
    ("0017", "关爱特殊群体"),
    ("0018", "大型活动"),
    ("0019", "海外志愿服务"),
    ("0020", "税收服务"),
    ("0099", "其他"),
];

/// Beneficiaries (服务对象).
const BENEFICIARIES: [(&str, &str); 13] = [
    ("01", "儿童"),
    ("02", "妇女"),
    ("03", "老年人"),
    ("04", "残障人士"),
    ("05", "优抚对象"),
    ("06", "贫困家庭"),
    ("07", "特殊群体"),
    ("08", "病患者"),
    ("09", "农村居民"),
    ("10", "城镇居民"),
    ("11", "社会公众"),
    ("13", "纳税人缴费人"),
    ("99", "其他"),
];

/// Codes of a cell that may name several service categories.
pub(super) fn categories(text: &str) -> Vec<Code> {
    codes(text, &CATEGORIES)
}

/// Codes of a cell that may name several groups of beneficiaries.
pub(super) fn beneficiaries(text: &str) -> Vec<Code> {
    codes(text, &BENEFICIARIES)
}

fn codes(text: &str, list: &[(&str, &str)]) -> Vec<Code> {
    let parts = text.split(['、', '，', ',', '；', ';', '|', '/', '\n']);
    parts.map(str::trim).filter(|part| !part.is_empty()).map(|part| code(part, list)).collect()
}

fn code(part: &str, list: &[(&str, &str)]) -> Code {
    let plain = compact(part);
    let split = plain.find(|c: char| !c.is_ascii_digit()).unwrap_or(plain.len());
    let (number, label) = plain.split_at(split);
    let label = label.trim_start_matches(['-', ':', '.', '_']);
    let known = list.iter().find(|(code, name)| {
        let same_code = !number.is_empty() && *code == number;
        (same_code && (label.is_empty() || *name == label)) || (number.is_empty() && *name == label)
    });
    match known {
        Some((code, _)) => Code { code: (*code).to_owned(), label: None },
        None if label.is_empty() => Code { code: number.to_owned(), label: None },
        // A local code or none at all: the label is kept as it was written.
        None => Code {
            code: number.to_owned(),
            label: Some(if number.is_empty() { part.to_owned() } else { label.to_owned() }),
        },
    }
}

/// Entry way and the grade it is worth; `None` for words not known.
pub(super) fn entry_way(text: &str) -> Option<(EntryWay, Grade)> {
    let plain = compact(text).to_uppercase();
    Some(match plain.as_str() {
        "团体录入" | "团体" | "集体录入" | "批量录入" | "组织录入" => {
            (EntryWay::Group, Grade::C)
        }
        "个人申报" | "个人申请" | "个人录入" | "自主申报" => (EntryWay::Individual, Grade::D),
        "APP计时" | "APP" | "手机计时" | "扫码签到" | "扫码计时" | "签到签退" | "人脸识别" | "快速打卡"
        | "打卡" => (EntryWay::App, Grade::B),
        "时长码" => (EntryWay::TimeCode, Grade::B),
        "自动计时" => (EntryWay::Automatic, Grade::B),
        // A forced check-out says nothing about when the service ended.
        "强制签退" => (EntryWay::Automatic, Grade::E),
        "补录" | "后补录入" | "补登" => (EntryWay::BackEntry, Grade::E),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn national_labels_become_codes_and_local_ones_are_kept() {
        let one = |text| categories(text).into_iter().next().expect("one code");
        assert_eq!(one("环境保护"), Code { code: "0006".into(), label: None });
        assert_eq!(one("0006"), Code { code: "0006".into(), label: None });
        assert_eq!(one("0006 环境保护"), Code { code: "0006".into(), label: None });
        assert_eq!(one("民族团结"), Code { code: String::new(), label: Some("民族团结".into()) });
        assert_eq!(one("5301民族团结"), Code { code: "5301".into(), label: Some("民族团结".into()) });
        assert_eq!(categories("社区服务、环境保护").len(), 2);
        assert_eq!(beneficiaries("儿童，老年人")[1].code, "03");
    }

    #[test]
    fn an_entry_way_is_worth_its_grade() {
        assert_eq!(entry_way("团体录入"), Some((EntryWay::Group, Grade::C)));
        assert_eq!(entry_way("App计时"), Some((EntryWay::App, Grade::B)));
        assert_eq!(entry_way(" 个人申报"), Some((EntryWay::Individual, Grade::D)));
        assert_eq!(entry_way("补录"), Some((EntryWay::BackEntry, Grade::E)));
        assert_eq!(entry_way("听说"), None);
    }
}
