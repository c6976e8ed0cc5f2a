//! The fields a sheet may have and the Chinese headers clerks give them.
//!
//! A header is compared without blanks, stars and brackets. The first alias of a field is its own
//! name; when two columns answer to one field, the earlier alias wins. A header that could mean two
//! things (服务时间 alone) is no alias: the clerk says which with `--map`.

/// A field of a service row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// Name of the volunteer.
    Name,
    /// Identity number.
    Id,
    /// Name of the activity.
    Activity,
    /// Position.
    Position,
    /// Service category.
    Category,
    /// Beneficiaries.
    Beneficiary,
    /// What was done.
    Content,
    /// Where.
    Place,
    /// Division code.
    Division,
    /// Day, for sheets whose start and end columns hold times only.
    Date,
    /// Start.
    Start,
    /// End.
    End,
    /// Duration as the source states it.
    Hours,
    /// Organizing unit.
    Organization,
    /// Its unified social credit code.
    Uscc,
    /// Person in charge.
    InCharge,
    /// Entry way.
    EntryWay,
    /// Remark.
    Remark,
}

use Field as F;

/// English name and aliases of every field, best alias first.
const TABLE: [(Field, &str, &[&str]); 18] = [
    (F::Name, "name", &["姓名", "志愿者姓名", "人员姓名", "服务者姓名", "志愿者", "名字"]),
    (
        F::Id,
        "id",
        &[
            "证件号码",
            "身份证号码",
            "身份证号",
            "证件号",
            "公民身份号码",
            "居民身份证号码",
            "居民身份证号",
            "志愿者证件号码",
            "身份证",
            "证件编号",
        ],
    ),
    (
        F::Activity,
        "activity",
        &[
            "活动名称",
            "志愿服务活动名称",
            "志愿活动名称",
            "服务活动名称",
            "项目名称",
            "志愿服务项目",
            "服务项目",
            "活动主题",
            "活动",
            "项目",
        ],
    ),
    (F::Position, "position", &["岗位", "服务岗位", "岗位名称", "志愿岗位"]),
    (
        F::Category,
        "category",
        &[
            "服务类别",
            "志愿服务类别",
            "服务类型",
            "活动类别",
            "活动类型",
            "项目类别",
            "项目类型",
            "类别",
            "类型",
        ],
    ),
    (F::Beneficiary, "beneficiary", &["服务对象", "受益对象", "受益人群", "服务人群"]),
    (F::Content, "content", &["服务内容", "志愿服务内容", "活动内容", "工作内容", "具体内容", "内容"]),
    (F::Place, "place", &["服务地点", "活动地点", "服务地址", "活动地址", "地点", "地址"]),
    (
        F::Division,
        "division",
        &["行政区划代码", "行政区划编码", "区划代码", "区划编码", "行政区划", "地区代码", "所在地区代码"],
    ),
    (F::Date, "date", &["服务日期", "活动日期", "日期"]),
    (
        F::Start,
        "start",
        &[
            "开始时间",
            "服务开始时间",
            "活动开始时间",
            "起始时间",
            "签到时间",
            "开始日期",
            "开始",
            "起始日期",
            "时间起",
        ],
    ),
    (
        F::End,
        "end",
        &[
            "结束时间",
            "服务结束时间",
            "活动结束时间",
            "终止时间",
            "截止时间",
            "签退时间",
            "结束日期",
            "结束",
            "时间止",
        ],
    ),
    (
        F::Hours,
        "hours",
        &[
            "服务时长",
            "志愿服务时长",
            "时长",
            "服务小时数",
            "服务时数",
            "小时数",
            "服务小时",
            "时数",
            "服务工时",
            "工时",
            "服务分钟数",
            "分钟数",
        ],
    ),
    (
        F::Organization,
        "organization",
        &[
            "组织单位",
            "活动组织单位",
            "组织者单位",
            "记录单位",
            "主办单位",
            "志愿服务组织",
            "志愿服务组织名称",
            "组织名称",
            "志愿服务队",
            "服务队",
            "服务队名称",
            "所属组织",
            "所属团队",
            "团队名称",
            "组织机构",
            "发起组织",
            "组织",
            "单位名称",
            "单位",
        ],
    ),
    (F::Uscc, "uscc", &["统一社会信用代码", "社会信用代码", "信用代码", "组织机构代码", "机构代码"]),
    (F::InCharge, "in-charge", &["负责人", "活动负责人", "项目负责人", "负责人姓名", "组织者", "联系人"]),
    (F::EntryWay, "entry-way", &["录入方式", "记录方式", "计时方式", "时长来源", "录入类型", "申报方式"]),
    (F::Remark, "remark", &["备注", "说明", "备注说明"]),
];

/// Columns without which a sheet is no sheet of service rows (67号 Art. 7). A start may also come
/// from a day column, and a duration from an end column.
pub(super) const REQUIRED: [Field; 6] =
    [Field::Name, Field::Id, Field::Activity, Field::Content, Field::Place, Field::Organization];

/// Headers that are a duration only with a unit in brackets, such as 服务时间（小时）.
const HOURS_WITH_UNIT: [&str; 4] = ["服务时间", "时间", "志愿服务时间", "累计时间"];

impl Field {
    /// Every field.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|(field, _, _)| *field)
    }

    /// English name, as in `--map` and JSON.
    pub fn name(self) -> &'static str {
        TABLE.iter().find(|(field, _, _)| *field == self).map_or("", |(_, name, _)| name)
    }

    /// Chinese name: the header the project itself writes.
    pub fn header(self) -> &'static str {
        TABLE.iter().find(|(field, _, _)| *field == self).map_or("", |(_, _, aliases)| aliases[0])
    }

    /// English names of all fields, for messages.
    pub fn names() -> String {
        TABLE.map(|(_, name, _)| name).join(" ")
    }

    /// From its English name or any alias.
    pub fn parse(text: &str) -> Option<Self> {
        let lower = text.trim().to_ascii_lowercase();
        let named = TABLE.iter().find(|(_, name, _)| *name == lower).map(|(field, _, _)| *field);
        named.or_else(|| Self::of_header(text.trim(), false).map(|(field, _)| field))
    }

    /// Field of a header text (already without blanks and brackets) and the rank of its alias.
    pub(super) fn of_header(text: &str, has_unit: bool) -> Option<(Self, usize)> {
        for (field, _, aliases) in &TABLE {
            if let Some(rank) = aliases.iter().position(|alias| *alias == text) {
                return Some((*field, rank));
            }
        }
        let rank = HOURS_WITH_UNIT.iter().position(|alias| *alias == text)?;
        has_unit.then_some((Self::Hours, 100 + rank))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_header_answers_to_two_fields() {
        let mut seen = std::collections::BTreeSet::new();
        for (_, name, aliases) in TABLE {
            assert!(seen.insert(name));
            for alias in aliases {
                assert!(seen.insert(alias), "{alias}");
            }
        }
    }

    #[test]
    fn a_field_is_named_in_english_or_chinese() {
        for field in Field::all() {
            assert_eq!(Field::parse(field.name()), Some(field));
            assert_eq!(Field::parse(field.header()), Some(field));
        }
        assert_eq!(Field::parse("in-charge"), Some(Field::InCharge));
        assert_eq!(Field::parse("服务时间"), None);
    }
}
