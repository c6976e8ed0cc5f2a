# 信使文件，以及为何不予接收。
help-courier = 信使文件：网络不通的节点之间，由邮件或 U 盘传递
help-courier-export = 把等待某节点的全部消息写入新的密封文件
help-courier-import = 接收其他节点的文件；重复、迟到、次序颠倒都可以
help-arg-courier-export-to = 由哪个节点接收
help-arg-courier-export-file = 新文件；已有的文件不会被覆盖
help-arg-courier-import-file = 信使文件

courier-written = { $file }：致 { $to } 的第 { $number } 份文件，消息 { $messages } 条，答复 { $answers } 条，档案声明 { $statements } 条。只有 { $to } 能打开；以任何方式送达均可，怀疑丢失就再导出一份
courier-more = 文件已满，尚有未写入的内容。先送达这一份，导入答复后再导出
courier-taken = { $from } 的第 { $number } 份文件（{ $made } 制作）：收下消息 { $messages } 条，本方消息办结 { $ended } 条，复制档案声明 { $statements } 条
courier-refused = { $code }：{ $count } 条消息暂未接受，原因将随答复告知对方
courier-stale = { $from } 此后恢复过备份：本文件中的答复不再算数
courier-older = { $from } 的这份或更新的文件此前已接收
courier-answer = 请送回答复：yunling courier export --to { $from } 文件

error-courier-clock = 文件日期为 { $at }，按本机时钟尚未到来；未作任何改动。请核对两处时钟后重新导入
error-courier-cut = 该文件不完整：应有 { $expected } 字节，实有 { $found } 字节；未作任何改动。请重新拷贝，或请对方重新导出
error-courier-damaged = 该文件在途中被改动（{ $what }）；本机未作任何改动。请重新拷贝，或请对方重新导出
error-courier-exists = { $path } 已存在，信使文件不覆盖已有文件。请另取文件名
error-courier-form = 该文件不是云岭的信使文件；未作任何改动。请确认是否拿错了文件
error-courier-key = 该文件是用本节点没有的密钥密封的；未作任何改动。请把本节点最新名片（yunling peer card）交给对方后请其重新导出
error-courier-large = 该文件有 { $bytes } 字节，信使文件最大 { $max } 字节；未作任何改动。请确认是否拿错了文件
error-courier-newer = 该文件的格式版本为 { $version }，本程序不认识；未作任何改动。请安装新版云岭后重新导入
error-courier-no-key = { $name } 的名片上没有当前有效的加密密钥。请向对方索取最新名片，接受后（yunling peer accept）重新导出
error-courier-not-for-me = 该文件是致 { $to } 的，本节点是 { $me }；未作任何改动。请送交 { $to }
error-courier-sender-unknown = 该文件来自 { $from }，它不是已接受的节点；未作任何改动。请先电话核对其核对码并接受名片（yunling peer accept）
error-courier-signature = 该文件自称来自 { $from }，但签名与其名片上的密钥不符；未作任何改动。请致电 { $from } 核实是否发过此文件
