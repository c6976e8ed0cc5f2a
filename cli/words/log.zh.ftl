# 日志的审计，以及证据。
help-audit = 重放一个节点的全部日志：逐条重算，与见过的每个检查点比对
help-arg-audit-log = 对方节点的名称，或日志文件夹
help-arg-audit-trust = 名片文件：给出后重放文件夹，不需要节点与网络
help-arg-audit-seen = 在别处见过的该日志的检查点文件
help-arg-audit-evidence = 若发现矛盾，证据写入此新文件
help-evidence = 证据：一个节点自己签名的互相矛盾的内容
help-evidence-list = 列出本节点遇到的证据
help-evidence-export = 把一份证据写入文件
help-evidence-verify = 核对证据文件：只需被指节点的名片，不需要节点与网络
help-arg-evidence-export-id = 列表中的编号
help-arg-evidence-export-file = 新文件；已有的文件不会被覆盖
help-arg-evidence-verify-file = 证据文件
help-arg-evidence-verify-trust = 名片文件，其中须有被指节点的

audit-read = { $origin }：重放 { $entries } 条，与 { $checkpoints } 个检查点一致，核实到第 { $confirmed } 条
audit-witnessed = 检查点（{ $size } 条）有名册要求的见证签名
audit-unwitnessed = 检查点（{ $size } 条）缺少名册要求的见证签名：见证节点可能尚未答复，也可能拒绝签名
audit-bilateral = 检查点（{ $size } 条）没有见证要求（双边互认）
audit-other-root = 警报：{ $at } 条处与此前签名的检查点不符，旧记录被改写或删除
audit-repeated-nullifier = 警报：第 { $at } 条与第 { $first } 条封存的是同一档案的同一任期，可能两次转出
audit-malformed = 警报：第 { $at } 条不是有效的日志条目
audit-missing = 本节点持有其签发、而日志中没有的声明 { $count } 条：{ $ids }
audit-untold = 日志表明已被撤销或更正、而本节点未收到通知的声明 { $count } 条：{ $ids }
audit-evidence = 证据已写入 { $path }；任何人可用 yunling evidence verify 核对
audit-clean = 未发现问题
audit-not-clean = 有问题，见上。请保存证据（yunling evidence list），并告知监督单位

evidence-none = 没有证据
evidence-two-roots = { $id } { $node }：日志 { $log } 在 { $at } 条处签过两个不同的根，曾给不同的人看不同的历史
evidence-two-leaves = { $id } { $node }：日志 { $log } 第 { $at } 条签过两个不同的内容
evidence-rewritten = { $id } { $node }：日志 { $log } 前 { $at } 条签名之后被改写
evidence-two-seals = { $id } { $node }：档案 { $log } 第 { $at } 任期签过两次转出
evidence-dropped = { $id } { $node }：档案 { $log } 已回执接收的声明 { $at } 后来不在其中
evidence-written = 证据已写入 { $path }
evidence-verified = 证据属实：两处都有该节点自己的签名
evidence-nothing = 此文件不能证明什么：{ $cause }（{ $code }）

error-audit-fetch = 未能取得 { $name } 的日志：{ $cause }。请用 yunling peer test { $name } 检查连接，再试一次；已取得的部分会保留
error-audit-incomplete = 日志缺少文件 { $path }。请向其索取完整的日志文件夹
error-audit-no-log = 文件夹中没有 checkpoint，不是日志。请给出含 checkpoint 与 tile 的文件夹
error-audit-unknown-log = 检查点属于 { $origin }，所给的名片中没有签发它的密钥。请用 --trust 给出该节点的名片
error-evidence-exists = { $path } 已存在，不覆盖已有文件。请另取文件名
error-evidence-unknown = 没有编号为 { $id } 的证据。请用 yunling evidence list 查看
error-log-damaged = 日志损坏：{ $cause }。请停止节点，用 yunling doctor 检查，从备份恢复
error-log-io = 日志文件不可用：{ $cause }。请检查磁盘空间与权限
error-pages-listen = 网页地址 { $value } 无法监听：{ $cause }。请在 config.toml 的 [pages] 中改用另一端口

help-proof-receipt = 给证明附上日志回执：他人可据此核对它何时已在日志中
help-arg-proof-receipt-proof = 证明文本，或其文件
help-arg-proof-receipt-out = 写入文本的文件
help-arg-proof-receipt-png = 写入二维码图片的文件
help-arg-proof-verify-logged = 只接受带日志回执的证明
proof-receipt = 已附回执：日志 { $origin } 第 { $index } 条，检查点 { $size } 条，见证签名 { $witnesses } 个
verify-witnessed = 已写入日志 { $origin }（检查点 { $size } 条），{ $witnesses } 个见证节点在 { $at } 之前看到
verify-logged = 已写入日志 { $origin }（检查点 { $size } 条），未要求见证
error-proof-not-logged-yet = 该证明尚未进入日志，或见证节点尚未签名。请稍等一分钟再试
