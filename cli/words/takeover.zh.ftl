## 承接（归属节点已撤销或合并）

help-takeover = 承接已撤销或合并的节点的档案
help-takeover-announce = 公告承接：30 天内各成员可提出异议
help-takeover-list = 列出公告中的承接
help-takeover-complete = 公告期满后承接一份档案
help-takeover-cancel = 放弃一次承接
help-arg-takeover-announce-from = 已撤销或合并的节点
help-arg-bundle = 档案包文件：本人的（dossier export --own）和旧数据，可给多份
help-arg-takeover-announce-log = 该节点日志的文件夹；不写则用 audit 取得的镜像
help-arg-takeover-announce-name = 本人姓名（窗口核对证件后填写）
help-arg-dossier-export-own = 本人档案包：含档案密钥和归属节点的签名，请只交给本人保管

takeover-announced = 已公告承接 { $from } 的档案 { $dossier }：{ $count } 条，{ $hours } 小时。公告期到 { $ends }，期满前不能登记，余额冻结。期满后请运行 yunling takeover complete { $dossier }
takeover-longer = 档案包之后的 { $more } 条已由本节点所存的声明补齐
takeover-none = 没有公告中的承接
takeover-completed = 已承接档案 { $dossier }：{ $length } 条，{ $hours } 小时，第 { $epoch } 轮归属，永久标注“重建”
takeover-cancelled = 已放弃承接档案 { $dossier }
dossier-own = 注意：本人档案包含档案密钥，持有者可证明对档案的控制。请只交给本人保管

head-gone = 原节点
head-notice-ends = 公告期满
head-days-left = 剩余天数
head-complete = 已有/应有
word-rebuilt = 由承接节点重建
word-takeover-noticed = 公告中
word-takeover-stopped = 因异议停止
word-kind-takeover = 承接

error-bundle-encoding = 档案包损坏或不是档案包：{ $cause }。请用 dossier export --own 重新导出，或换一份
error-takeover-not-successor = 名册没有写明本节点承接 { $name }。请先采用写有承接关系的名册
    .bare = 名册没有写明本节点承接该节点。请先采用写有承接关系的名册
error-takeover-unproven = 承接声明或公告与名册不符：名册没有写明签名者承接该节点，或检查点不同。请先采用最新名册，再核实来源
error-takeover-no-key = 所给档案包都不含档案密钥。请向本人索取本人档案包（dossier export --own 导出的文件）
error-takeover-sealed-away = 原节点已把这份档案转出封存，不能承接。请向原节点转往的节点查询
error-takeover-other-custodian = 档案包中的档案不归 { $name } 所有。请核对拿错文件与否，或向归属节点查询
    .bare = 档案包中的档案不归该节点所有。请核对是否拿错文件
error-takeover-forks = 原节点签过的链头与档案包不是同一条链，已停止。请保留双方文件，电话核对后上报
error-takeover-head-unsigned = 档案包末尾没有原节点的签名，无法确认是否完整。请改用 dossier export --own 导出的文件，或补充旧数据
error-takeover-shorter = 档案包只有 { $count } 条，原节点签过 { $need } 条：不完整，不能承接。请补充更新的档案包或旧数据后再公告
    .bare = 档案包短于原节点签过的长度：不完整，不能承接。请补充更新的档案包或旧数据后再公告
error-takeover-log-needed = 原节点的日志没有查到名册写明的检查点。请用 --log 给出日志文件夹后再公告
error-takeover-log-short = { $path } 中的日志没有达到名册写明的 { $size } 条（{ $origin }）。请向见证节点或原节点索取完整日志，用 --log 给出
    .bare = 日志没有达到名册写明的检查点。请索取完整日志，用 --log 给出
error-takeover-log-differs = { $path } 中的日志与名册写明的检查点不符（{ $origin }，{ $size } 条）。请换一份日志，并上报
    .bare = 日志与名册写明的检查点不符。请换一份日志，并上报
error-takeover-change-missing = 原节点的日志里有对这份档案的更正或撤销，档案包中没有。请补充更新的档案包或旧数据
error-takeover-notice = 公告期还有 { $days } 天（到 { $ends }），期满前不能承接。请期满后再办
    .bare = 公告期未满，不能承接。请期满后再办
error-takeover-stopped = 有成员出示了原节点的签名，承接已停止。请用 yunling takeover list 查看，核实后 cancel
error-takeover-unknown = 没有档案 { $dossier } 的承接公告。请先运行 takeover announce
    .bare = 没有这份档案的承接公告。请先运行 takeover announce
error-takeover-too-many = 与这份档案有关的旁证过多，已停止。请联系开发方
error-takeover-mismatch = 承接声明与档案不符（{ $what }），已拒绝。请核对轮次、链头、条数和公告期
    .bare = 承接声明与档案不符（轮次、链头、条数或公告期），已拒绝。请核对来源
error-objection-unproven = 对方答复的声明无法验证或已经知道，会自动再问

head-suspended = 其中记录方暂停
word-statement-disputed = 有争议（记录方已暂停）
