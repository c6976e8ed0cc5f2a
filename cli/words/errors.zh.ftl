# 错误与提示：规则、值、办法。error-<code>，两种语言的键相同。

## 节点与连接

error-node-unreachable = 节点没有运行或联系不上（{ $home }）：{ $cause }。请先运行 yunling run，或用 --home 指明节点目录
error-node-permission = 节点（{ $home }）的控制接口不允许当前用户使用：{ $cause }。请用运行节点的系统用户执行
error-control-socket = 控制接口 { $path } 无法使用：{ $cause }。请检查目录权限后重新启动节点
error-http = 节点的答复无法理解（{ $status }）：{ $body }。请核对命令与节点的版本是否一致
error-request-form = 请求格式不符合接口约定：{ $cause }。请核对命令与节点的版本是否一致
error-request-field = 请求缺少“{ $field }”，或其类型不对。请补上后重试
error-internal = 程序内部出错：{ $cause }。没有确认的操作请重新查询后再做，并把日志交给维护人员
    .bare = 程序内部出错。没有确认的操作请重新查询后再做，并把日志交给维护人员

## 节点目录与配置

error-home-missing = { $path } 不是节点目录（没有 config.toml）。请先运行 yunling init，或用 --home 指明
error-home-exists = { $path } 已经是节点目录，init 不会覆盖。请直接使用，或另选一个空目录
error-home-not-empty = { $path } 不是空目录，init 只在空目录中建立节点。请另选一个目录
error-home-io = 节点目录中的 { $path } 无法读写：{ $cause }。请检查是否存在、权限和磁盘空间
error-home-identity = 节点名称和试用标记在 init 时确定，不可更改（原为 { $stored }，现为 { $now }）。请改回 config.toml
error-config-io = 配置文件 { $path } 无法读取：{ $cause }。请检查文件是否存在和权限
error-config-syntax = 配置文件 { $path } 有写错的键或格式：{ $cause }。请按提示的行改正
error-config-value = 配置 { $key } 的值“{ $value }”不在允许范围内，应为：{ $expected }。请改正 config.toml
error-node-name = 节点名“{ $value }”不符合规则：1 至 64 字节，只用字母、数字和 . - _ /。请改正
error-division-unknown = 行政区划代码“{ $value }”不在国家标准代码表（GB/T 2260）中。请填写六位代码，如 530100
error-key-file = 密钥文件 { $path } 缺失或损坏（应为 32 字节的十六进制）。请从备份恢复 keys 目录
error-key-mode = 密钥文件 { $path } 可被他人读取，节点不使用它。请执行 chmod 600
error-sign-device = 签名未能完成：{ $cause }。请检查签名密钥或设备后重试
    .bare = 签名未能完成。请检查签名密钥或设备后重试

## 文件

error-file-write = 文件 { $path } 无法写入：{ $cause }。请检查目录是否存在、权限和磁盘空间
error-file-read = 文件 { $path } 无法读取：{ $cause }。请检查路径和权限
error-qr-failed = 二维码无法生成：{ $cause }。请改用文本形式的证明

## 存储

error-store-conflict = 同一档案正被多次同时修改，试了 { $tries } 次，本次没有写入。请稍后重试
    .bare = 同一档案正被多次同时修改，本次没有写入。请稍后重试
error-store-damaged = 存储中的一条记录与写入时不符，已停止使用该记录：{ $cause }。请停止节点并运行 yunling repair，或从备份恢复
    .bare = 存储中的一条记录与写入时不符，已停止使用该记录。请停止节点并运行 yunling repair，或从备份恢复
error-store-engine = 存储出错，本次写入是否完成未知：{ $cause }。请重新查询后再操作；若反复出现，请检查磁盘
    .bare = 存储出错，本次写入是否完成未知。请重新查询后再操作；若反复出现，请检查磁盘
error-store-full = 磁盘空间不足：可用 { $free } MiB，须有 { $needed } MiB，没有写入；已有数据仍可查询。请清理空间，写入会自动恢复
    .opening = { $path } 所在磁盘空间不足，数据目录没有打开：{ $cause }。请清理空间后重新启动节点
    .bare = 磁盘空间不足（须留 64 MiB 以上），没有写入；已有数据仍可查询。请清理空间，写入会自动恢复
error-store-io = 数据目录 { $path } 无法使用：{ $cause }。请检查目录是否存在、权限和磁盘
error-store-limit = 一次写入的内容超过存储上限，没有写入：{ $cause }。请分成几次
    .bare = 一次写入的内容超过存储上限，没有写入。请分成几次
error-store-locked = 数据目录 { $path } 正被另一个进程使用。请通过运行中的节点操作，或先停止它
error-store-lost = { $path } 的存储中，记录少于或不同于写入时，已停止使用：{ $cause }。请检查磁盘，运行 yunling repair（保留完好的记录，丢失的由对方补回），或把最近的备份恢复到空目录
error-store-newer = 数据目录 { $path } 由更新版本的程序写入（格式 { $found }，本程序只认识 { $known }），未作任何改动。请改用新版程序
    .bare = 数据目录由更新版本的程序写入，未作任何改动。请改用新版程序
error-store-owner = 数据目录 { $path } 属于另一个节点。请检查 config.toml 的 store.folder

## 名片与对等节点

error-card-text = { $path } 中没有节点名片（以 YC1: 开头的一行）。请向对方索取 yunling peer invite 的输出
    .bare = 内容中没有节点名片（以 YC1: 开头的一行）。请向对方索取 yunling peer invite 的输出
error-card-encoding = 名片内容不完整或被改动，无法解读：{ $cause }。请对方重新发送，最好作为文件
error-card-signature = 名片的签名与内容不符，可能被改动：{ $cause }。请向对方重新索取并电话核对
error-card-missing-key = 名片缺少必需的密钥：{ $cause }。请对方用同一版本重新生成
error-peer-self = “{ $name }”是本节点自己的名片。请使用对方节点的名片
error-peer-unknown = 节点“{ $name }”不在已接受的对等节点之中。请先用 yunling peer accept 接受其名片（yunling peer list 查看）
    .bare = 节点不在已接受的对等节点之中。请先用 yunling peer accept 互相接受名片（yunling peer list 查看）
error-pairing-signature = 互认记录的签名不是本单位或对方的密钥所作，不予采信。请重新交换名片（yunling peer card / peer accept）
error-pairing-encoding = 互认记录的格式不对，不予采信。请让对方升级后重试，或重新交换名片
error-pairing-other = 互认记录说的不是这两家单位或不是这些密钥，不予采信。请重新交换名片并电话核对
error-peer-other-keys = 节点“{ $name }”以前的核对码是 { $known }，这次是 { $given }，密钥不同，名片不予接受。请先电话核对；若对方确已更换，请对方用恢复密钥签发换钥申请，再用 yunling peer accept --key-change 接受
error-peer-too-many = 对等节点已达上限 { $max } 个。请先移除不再使用的节点
error-trial-mixed = “{ $name }”与本节点一为试用、一为正式，不能混用。请使用同类节点
    .bare = 试用节点与正式节点不能混用。请使用同类节点

## 网络

error-net-down = 节点的网络没有运行。请用 yunling run 启动节点后再试
error-net-address = 监听地址“{ $value }”格式不对：{ $cause }。请改正 config.toml 的 net 一节，如 /ip4/0.0.0.0/tcp/7440
error-net-listen = 无法监听网络地址，可能端口已被占用：{ $cause }。请更换端口或停止占用的程序
error-net-setup = 网络无法启动：{ $cause }。请检查系统的网络设置
error-net-unknown-peer = 对方（{ $peer }）不在允许名单内。请双方互相接受名片
    .bare = 对方不在允许名单内。请双方互相接受名片
error-net-refused = 对方（{ $peer }）节点拒绝连接：它可能还没有接受本节点的名片。请联系对方办理
    .bare = 对方节点拒绝连接：它可能还没有接受本节点的名片。请联系对方办理
error-net-not-connected = 与对方（{ $peer }）没有连接，消息尚未发出，会自动重试。急需时用 yunling peer test 检查
    .bare = 与对方没有连接，消息尚未发出，会自动重试。急需时用 yunling peer test 检查
error-net-dial-addresses = 没有可用的对方地址。请向对方索取新名片
error-net-dial-resolve = 对方地址 { $address } 的域名无法解析。请检查 DNS 或改用 IP 地址
    .bare = 对方地址的域名无法解析。请检查 DNS 或改用 IP 地址
error-net-dial-connect = 对方地址 { $address } 连不上。请检查对方是否运行，以及两边防火墙是否放行 UDP 和 TCP 端口（默认 7440）
    .bare = 对方地址连不上。请检查对方是否运行，以及两边防火墙是否放行 UDP 和 TCP 端口（默认 7440）
error-net-dial-relay = 中继已连到，但没有接通对方：对方此刻不在中继上，或中继不是已接受的节点。请检查对方是否运行，以及双方配置中的 relays
error-net-dial-handshake = 已连到对方端口 { $address }，但加密握手失败。请检查中间设备是否拦截，以及两边版本
    .bare = 已连到对方端口，但加密握手失败。请检查中间设备是否拦截，以及两边版本
error-net-dial-identity = { $address } 上的是另一个节点，不是名片所指的节点。请核对地址并索取新名片
    .bare = 该地址上的是另一个节点，不是名片所指的节点。请核对地址并索取新名片
error-net-dial-limits = 连接数已达上限，本次没有连接，会自动重试
error-net-cut-off = 对方（{ $peer }）大量发送请求，本节点已暂时断开它，过后自动恢复。请联系对方检查其节点
    .bare = 对方节点大量发送请求，本节点已暂时断开它，过后自动恢复。请联系对方检查其节点
error-peer-hello-refused = 对方节点已连通，但拒绝了问候。请对方查看其日志，并核对双方名片
error-net-timeout = 对方（{ $peer }）在限定时间内没有答复，对方是否已处理未知；会自动重试，重复送达只计一次
    .bare = 对方在限定时间内没有答复，对方是否已处理未知；会自动重试，重复送达只计一次
error-net-broken = 连接在收到答复前中断，对方是否已处理未知；会自动重试，重复送达只计一次
error-net-busy = 对方正在处理本节点先前的请求，会自动重试
error-net-too-large = 内容超过节点间协议的长度上限，没有发出。请把日志交给维护人员
error-net-peer-failed = 对方（{ $peer }）节点处理时出错。请对方查看其日志
    .bare = 对方节点处理时出错。请对方查看其日志
error-net-unsupported = 对方（{ $peer }）的版本不支持这一协议。请双方使用同一版本
    .bare = 对方的版本不支持这一协议。请双方使用同一版本
error-net-bulk-refused = 对方拒绝了批量传输。请查看转移的状态和对方日志
error-net-bulk-cut = 批量传输中断，已收到的部分保留，会自动续传
error-net-bulk-aborted = 对方中止了批量传输，已收到的部分保留。请对方查看其日志
error-net-malformed = 对方发来的内容不符合协议，已丢弃。请核对两边版本
error-net-announce = 通知未能发出，会自动在下次发送
error-net-stopped = 节点的网络已停止。请重新启动节点

## 节点间消息

error-message-encoding = 消息的编码不符合规则，已拒绝。请核对两边版本
error-message-signature = 消息的签名无效，已拒绝。请双方核对名片指纹
error-message-not-for-me = 消息是发给另一个节点的，已拒绝。请核对地址
error-message-unexpected = 消息在当前阶段不应出现，没有处理。请用 yunling transfer show 查看，必要时 resume
error-answer-unexpected = 对方的答复与请求不符，会自动重试。若持续出现请核对两边版本
error-busy = 对方正在转移这份档案，送达稍后自动重试
error-stale-life = 对方认为本节点是较早的副本（恢复过备份）。请联系对方核实后再继续
error-clock = 时间在将来，两边时钟相差超过 10 分钟。请核对两边时钟
error-rule = 记录不符合归属节点的现行规则（如单日上限、不跨零点），留待人工处理。请用 yunling delivery list 查看
error-receipt-expected = 对方没有给出回执，会自动重试
error-receipt-other = 对方的回执属于另一条记录，不予采用，会自动重试
error-moved-unproven = 对方称档案已转走，但没有有效的封存证明，不予采信。请联系对方
error-moved-to-unknown-peer = 档案已转到本节点尚未接受的节点。请先接受该节点的名片
error-held-refused = 该记录已由归属节点人工拒绝。请联系归属节点
error-held-unknown = 没有声明 { $statement } 的待处理送达。请用 yunling delivery list 查看
    .bare = 没有这条待处理的送达记录。请用 yunling delivery list 查看
error-policy-grade = 佐证等级低于本节点自动接受的等级，留待人工处理或已拒绝。请用 yunling delivery list 查看
error-policy-item-cap = 单条分钟数超过对该节点的上限，留待人工处理。请用 yunling delivery list 查看
error-policy-day-cap = 当日分钟数超过对该节点的上限，留待人工处理。请用 yunling delivery list 查看
error-policy-month-cap = 当月分钟数超过对该节点的上限，留待人工处理。请用 yunling delivery list 查看

## 志愿者

error-volunteer-unknown = 没有找到这位志愿者。请核对档案号、证件号码或姓名，或先登记（yunling volunteer register）
error-volunteer-ambiguous = 有 { $count } 位同名志愿者。请改用档案号或证件号码
error-volunteer-exists = 该证件号码已登记，档案号 { $dossier }。请直接使用该档案
error-volunteer-missing = 必须且只能给出志愿者或志愿者卡之一。请补上或去掉一项
error-volunteer-card = 志愿者卡“{ $value }”格式不对，应为“档案号@节点名”。请向志愿者重新索取
error-name-missing = 没有姓名。请填写姓名
error-name-long = 姓名有 { $bytes } 字节，证明中最多 { $max } 字节。请不带姓名出具
error-id-empty = 证件号码为空。请填写 18 位居民身份证号码
error-id-scientific = 证件号码被表格软件变成了科学计数法，末几位已丢失。请把该列设为文本后重新填写
error-id-length = 证件号码有 { $length } 位，应为 18 位。请核对证件
    .bare = 证件号码长度不对，应为 18 位。请核对证件
error-id-characters = 证件号码含有数字和末位 X 以外的字符。请核对证件
error-id-truncated = 证件号码末几位变成了 0，可能被表格软件截断。请把该列设为文本后重新填写
error-id-checksum = 证件号码校验位不对，可能抄错一位。请核对证件
error-id-birth-date = 证件号码中的出生日期不存在。请核对证件
error-dossier-id = 档案号“{ $value }”格式不对：应以 yd 开头，一字不差（末尾有校验）。请从 yunling volunteer list 复制
error-dossier-unknown = 本节点没有档案 { $dossier }。请核对档案号，或改用志愿者卡
    .bare = 节点没有这份档案。请核对档案号，或改用志愿者卡
error-dossier-moved = 档案 { $dossier } 已转到 { $node }，本节点不能再追加或出具证明。请到该节点办理
    .known = 档案 { $dossier } 已转到另一个节点，本节点不能再追加或出具证明。请到归属节点办理（yunling volunteer card 查看）
    .bare = 档案已转到另一个节点，本节点不能再追加或出具证明。请到归属节点办理（yunling volunteer card 查看）
error-dossier-held-here = 档案 { $dossier } 已在本节点，不需要转入。请直接使用
    .bare = 档案已在本节点，不需要转入。请直接使用
error-dossier-other = 声明属于另一份档案，已拒绝。请核对档案号
error-dossier-repeated = 同一条声明已是档案的第 { $sequence } 条，不会重复加入。不需要再做
    .bare = 同一条声明已在档案中，不会重复加入。不需要再做
error-dossier-sealed = 档案已封存转出，只有 { $node } 可以续写。请等转移完成
    .bare = 档案已封存转出，只有接收节点可以续写。请等转移完成

## 记录

error-consent-missing = 档案开头没有同意书（民政部令第67号第六条）。请先登记同意
error-consent-receiver = 同意书中的接收方不是接收节点“{ $name }”（个人信息保护法第二十三条）。请按接收节点重新办理授权
    .bare = 同意书中的接收方与接收节点不符（个人信息保护法第二十三条）。请按接收节点重新办理授权
error-not-custodian = 只有归属节点 { $node } 可以追加这份档案。请到该节点办理
    .bare = 只有归属节点可以追加这份档案。请到归属节点办理
error-custodian-unknown = 不知道档案 { $dossier } 现在归哪个节点。请用志愿者卡记录
    .bare = 不知道这份档案现在归哪个节点。请用志愿者卡记录
error-not-issuer = 只有原记录节点 { $node } 可以更正或作废（R-12）。请联系该节点
    .bare = 只有原记录节点可以更正或作废（R-12）。请联系原记录节点
error-not-receivable = 接收声明必须紧接在对应的封存之后，已拒绝。请重新发起转移
error-target-unknown = 档案中没有记录 { $statement }，或它不是服务记录。请从 yunling dossier show 复制声明编号
    .bare = 没有这条记录，或它不是服务记录。请从 yunling dossier show 复制声明编号
error-already-void = 记录 { $statement } 已经作废或在同一次中重复列出，不能再改。如需恢复请重新记录
    .bare = 这条记录已经作废，不能再改。如需恢复请重新记录
error-statement-id = 声明编号“{ $value }”格式不对：应以 ys 开头，一字不差（末尾有校验）。请从 yunling dossier show 复制
error-void-count = 给出了 { $count } 条，一次作废 1 至 { $max } 条记录。请给出编号，或分成几次
error-correction-empty = 更正没有给出任何新内容。请至少给出一项新的值
error-record-duplicate = 同一志愿者、单位、活动和时间（{ $when }）的记录已存在，不会重复记录。如是另一次服务，请核对时间
    .bare = 同一志愿者、单位、活动和时间的记录已存在，不会重复记录。如是另一次服务，请核对时间
error-recorder-missing = 没有记录单位。请填写记录单位名称
error-field-missing = 活动名称、服务内容和地点不能为空（民政部令第67号第七条），缺少：{ $missing }。请补全
    .bare = 活动名称、服务内容和地点不能为空（民政部令第67号第七条）。请补全
error-time-form = 时间“{ $value }”格式不对，应为 YYYY-MM-DD 或 YYYY-MM-DD HH:MM。请改正
error-when-missing = 须给出开始和结束时间，或只给出日期和分钟数；两种不能混用。请补全
error-minutes-missing = 没有钟点的记录必须给出分钟数。请补上
error-minutes-zero = 服务时长不能为零。请核对时长
error-minutes-over-span = 填写的 { $minutes } 分钟比开始至结束的时间（{ $when }）长。请核对时间和时长
    .bare = 填写的分钟数比开始至结束的时间长。请核对时间和时长
error-minutes-overflow = 分钟数之和超出可能的范围，已拒绝。请核对时长
error-end-before-start = 结束时间不晚于开始时间（{ $when }）。请核对两个时间
    .bare = 结束时间不晚于开始时间。请核对两个时间
error-in-future = 服务时间（{ $when }）在将来，不能记录。请核对时间和本机时钟
    .bare = 服务时间在将来，不能记录。请核对时间和本机时钟
error-crosses-midnight = 服务（{ $when }）跨过了零点，现行办法不允许。请按天分成两条
    .bare = 服务跨过了零点，现行办法不允许。请按天分成两条
error-over-day = 加上这条的 { $minutes } 分钟（{ $when }），当日时长超过现行办法允许的上限。请核对，或按天分开
    .bare = 当日时长超过现行办法允许的上限。请核对，或按天分开
error-overlap = 与第 { $other } 行同一人的记录时间重叠，重叠部分只计一次。请核对
    .bare = 与同一人的另一条记录时间重叠，重叠部分只计一次。请核对
error-day-over-flag = 当日累计超过 8 小时，已记录并标出。请核对
error-grade-form = 佐证等级“{ $value }”不存在，应为 A、B、C、D、E 或 X。请改正
error-entry-way = 录入方式“{ $value }”不存在，应为 group、individual、time-code、app、automatic 或 back-entry。请改正
error-uscc-form = “{ $value }”不是统一社会信用代码：应为 18 位数字和大写字母（不含 I O S V Z）。请核对证书
    .bare = 统一社会信用代码应为 18 位数字和大写字母（不含 I O S V Z）。请核对证书
error-uscc-checksum = 统一社会信用代码“{ $value }”校验位不对，可能抄错一位。请核对证书
    .bare = 统一社会信用代码校验位不对，可能抄错一位。请核对证书

## 声明

error-statement-encoding = 声明的编码不符合规则，已拒绝：{ $cause }。请核对来源
    .bare = 声明的编码不符合规则，已拒绝。请核对来源
error-statement-unknown-field = 声明含有本版本不认识的字段，已拒绝：{ $cause }。请升级本节点
    .bare = 声明含有本版本不认识的字段，已拒绝。请升级本节点
error-statement-bad-signature = { $issuer } 的声明签名无效：被改动或伪造，已拒绝。请向签发节点重新索取
    .bare = 声明的签名无效：被改动或伪造，已拒绝。请向签发节点重新索取
error-statement-no-key = 签发节点 { $issuer } 没有当时有效的密钥，声明已拒绝。请向对方索取新名片
    .bare = 签发节点没有当时有效的密钥，声明已拒绝。请向对方索取新名片
error-issuer-unknown = 档案中有 { $issuer } 签发的声明，本节点没有该节点的名片，已停止。请索取并接受其名片，再用 yunling transfer resume 继续
    .bare = 档案中有陌生节点签发的声明，本节点没有该节点的名片，已停止。请索取并接受其名片，再用 yunling transfer resume 继续
error-statement-envelope = 声明的签名封装不符合规则，已拒绝：{ $cause }。请核对来源
    .bare = 声明的签名封装不符合规则，已拒绝。请核对来源
error-statement-typ = 内容不是云岭声明，已拒绝。请核对来源
error-statement-name = 声明中的节点名不符合规则，已拒绝。请核对来源
error-statement-trial = 试用声明与正式声明不能混用，已拒绝。请使用同类节点
error-statement-beside = 回执不属于档案链，已拒绝。请核对来源
error-statement-newer-version = 档案含有本版本不认识的重要声明（类型 { $kind }），无法判断总数。请升级本节点
    .bare = 档案含有本版本不认识的重要声明，无法判断总数。请升级本节点
error-secrets-missing = 本节点没有档案 { $dossier } 的密钥或个人信息，或无法解密。请核对档案归属和 profile.key
    .bare = 节点没有这份档案的密钥或个人信息，或无法解密。请核对档案归属和 profile.key

## 转移

error-given-by = 同意人“{ $value }”不存在，应为 volunteer、guardian 或 unit。请改正
error-transfer-id = 转移编号“{ $value }”格式不对：应以 yt 开头，一字不差（末尾有校验）。请从 yunling transfer list 复制
error-transfer-unknown = 没有转移 { $transfer }。请用 yunling transfer list 查看
    .bare = 没有这个转移。请用 yunling transfer list 查看
error-transfer-other = 消息属于另一个转移，已拒绝。请用 yunling transfer show 查看
error-transfer-other-head = 档案在此期间有了新记录，副本已过期，会自动重新复制
error-transfer-copy-differs = 收到的副本与对方所报的链头、条数或轮次不符，已停止。请双方核对档案，然后取消并重新办理
error-transfer-minutes-differ = 按本节点的规则，副本的分钟数与对方所报不同，已停止。请双方核对版本和档案，然后取消并重新办理
error-transfer-expired = 转移在授权期限内没有完成，已自动取消。请重新办理授权
error-operator = 由操作人员取消或拒绝，没有写明原因。请电话询问对方
error-transfer-in-progress = 档案 { $dossier } 正在转移，暂不能修改。请等转移完成，或先取消转移
    .bare = 档案正在转移，暂不能修改。请等转移完成，或先取消转移
error-transfer-not-now = 转移在“{ $stage }”阶段不能这样操作。请用 yunling transfer show 查看
    .bare = 转移在当前阶段不能这样操作。请用 yunling transfer show 查看阶段
error-transfer-after-seal = 转移 { $transfer } 的档案已封存，不能再取消或拒绝。请用 yunling transfer resume 完成
    .bare = 档案已封存，不能再取消或拒绝。请用 yunling transfer resume 完成
error-transfer-stage-order = 收到的部分次序不对，已拒绝。请用 yunling transfer resume 继续
error-transfer-done-only-with-release = 收到释放后才能完成转移。请等待，或 yunling transfer resume
error-transfer-epoch = 归属轮次不符，这是一个旧的转移。请重新办理授权
error-transfer-not-authorised = 档案 { $dossier } 没有有效的转移授权。请志愿者到原节点办理授权码
    .bare = 这份档案没有有效的转移授权。请志愿者到原节点办理授权码
error-transfer-code-form = 授权码格式不对。请核对授权条上的每一个字符
error-transfer-code-wrong = 授权码不对，已拒绝。请核对授权条
error-transfer-code-expired = 授权码已过期。请志愿者到原节点重新办理
error-transfer-code-spent = 授权码已经用过，每个授权码只能用一次。请重新办理
error-transfer-copy-forks = 档案曾在本节点，对方送来的历史与本节点转出时的不同，已停止。请保留双方数据，电话核对后上报
error-seal-mismatch = 封存与档案不符（{ $what }），已停止。请双方人工核对轮次、链头、条数、分钟和余额
    .bare = 封存与档案不符（轮次、链头、条数、分钟或余额），已停止。请双方人工核对
error-seal-missing = 找不到这次转移的封存声明。请从备份恢复，并联系对方

## 证明

error-proof-too-high = 要证明的 { $asked } 小时多于档案中的 { $hours } 小时。请填写不超过该数的时长
    .bare = 要证明的小时多于档案中的小时。请填写不超过该数的时长
error-proof-days = 证明有效期为 { $days } 天，应为 1 至 { $max } 天。请改正
error-proof-recorders = 记录节点有 { $count } 个，一份证明最多写 { $max } 个。请分开出具
error-proof-status-unknown = 签名有效；签发后是否作废未知。重要用途请向签发节点查询
error-proof-not-a-proof = 不是云岭证明，或不完整。请重新扫码或索取原文
error-proof-malformed = 证明的编码不符合规则。请索取原件
error-proof-forged = 签名与内容不符：被改动或伪造。不要接受，请索取原件
error-proof-unknown-issuer = 签发节点不在所给的名片之中。请用 --trust 给出其名片
error-proof-unknown-key = 签发节点的名片中没有这把密钥。请索取签发节点的新名片后再验
error-proof-date-unproven = 密钥的有效期不含签发日或今天，签发日期无从证明。请申请新的证明
error-proof-expired = 证明已于 { $expires } 过期。请申请新的证明
    .bare = 证明已过有效期。请申请新的证明
error-proof-from-future = 签发日期 { $issued } 在将来。请核对本机时钟
    .bare = 签发日期在将来。请核对本机时钟
error-proof-newer-version = 证明由更新的版本出具，含有本版本不认识的内容。请升级后再验
error-proof-receipt-bad = 证明所附的日志回执不成立：被改动或伪造。不要接受，请索取原件
error-proof-receipt-unknown-key = 日志回执由所给名片中没有的密钥签名。请索取签发节点的新名片后再验
error-proof-not-witnessed = 已写入签发节点的日志，但见证节点的联署不足。请稍后再取一份，或向签发节点查询
error-proof-not-logged = 证明没有日志回执，而此处要求有。请向签发节点索取带回执的证明
error-proof-issuer-removed = 与签发节点 { $issuer } 的对等关系已结束。请向其上级或现归属节点查询
    .bare = 与签发节点的对等关系已结束。请向其上级或现归属节点查询

## 表格文件

error-sheet-io = 无法读取 { $path }：{ $cause }。请检查路径和权限
error-sheet-too-large = 文件有 { $bytes } 字节，最多读取 { $max } 字节。请拆分后导入
error-sheet-unfolds = 文件解压后超过 { $max } 字节。请去掉图片另存，或拆分
error-sheet-password = 文件有密码保护。请打开后取消密码另存，再导入
error-sheet-not-a-sheet = 文件不是表格，而是 { $found }。请用表格软件打开并另存为 .xlsx
error-sheet-unreadable = 文件无法作为表格读取：{ $cause }。请用表格软件打开后重新保存
error-sheet-encoding = 文本既不是 UTF-8 也不是 GB18030 编码。请另存为 .xlsx 或 UTF-8 的 CSV
error-sheet-unknown = 没有名为“{ $wanted }”的工作表，文件中有：{ $known }。请用 --sheet 指明其中之一
error-sheet-header-missing = 前 { $rows } 行中没有找到表头。请用 --map 列名=field 指明各列
error-sheet-columns-missing = 表头（第 { $row } 行）缺少：{ $missing }。请改列名，或用 --map 列名=field 指明
error-sheet-map-column = 表头（第 { $row } 行）中没有“{ $column }”列。请核对 --map 的列名
error-sheet-map-field = “{ $given }”不是 列名=field 的形式；可用字段：{ $known }。请改正 --map
error-sheet-too-many-rows = 表格超过 { $max } 行。请拆分后导入
error-sheet-too-many-columns = 第 { $row } 行在第 { $max } 列之后还有内容。请删去表格以外的内容
error-sheet-too-many-cells = 表格超过 { $max } 个单元格。请删去表格以外的内容，或拆分
error-sheet-cell-too-long = 第 { $row } 行有单元格长 { $chars } 字，最多读取 { $max } 字。请缩短
error-refused-over-source = 报告文件 { $path } 就是被导入的文件，不会覆盖。请换一个文件名
error-refused-sheet = 拒绝行的表格无法生成：{ $cause }。请改用 --json 查看各行
error-refused-io = 拒绝行的表格 { $path } 无法写入：{ $cause }。请检查目录是否存在、权限和磁盘空间

## 表格各行

error-activity-empty = 活动名称为空。请填写
error-content-empty = 服务内容为空。请填写
error-place-empty = 服务地点为空。请填写
error-organization-empty = 记录单位为空。请填写
error-name-empty = 姓名为空。请填写
error-start-empty = 开始时间为空。请填写
error-hours-empty = 没有结束时间时必须填写时长。请填写
error-in-charge-empty = 负责人为空，已照常记录
error-cell-error = 单元格是公式错误值（如 #N/A）。请填写实际内容
error-date-unreadable = 日期“{ $value }”无法识别，应如 2025-01-04。请改正
error-start-unreadable = 开始时间“{ $value }”无法识别，应如 2025-01-04 09:00。请改正
error-end-unreadable = 结束时间“{ $value }”无法识别，应如 2025-01-04 11:50。请改正
error-hours-unreadable = 时长“{ $value }”无法识别，应如 3.5、3.5小时、3h30 或 210分钟。请改正
error-start-without-day = 开始时间只有钟点没有日期。请补上日期或增加日期列
error-start-in-future = 开始时间（{ $when }）在将来。请核对时间和本机时钟
    .bare = 开始时间在将来。请核对时间和本机时钟
error-end-in-future = 结束时间（{ $when }）在将来。请核对时间和本机时钟
    .bare = 结束时间在将来。请核对时间和本机时钟
error-hours-over-span = 填写时长 { $minutes } 分钟，比开始至结束的 { $span } 分钟多出一分钟以上。请核对
error-text-too-long = 文字有 { $bytes } 字节，最多 { $max } 字节。请缩短
error-too-many-codes = 类别多于 { $max } 个。请减少
error-stated-shorter = 填写时长 { $minutes } 分钟少于开始至结束的 { $span } 分钟，按填写的计（扣除休息）
error-no-clock-times = 没有钟点，按日期和填写的时长记录，等级 E
error-entry-way-unknown = 录入方式不认识，按等级 E 记录
error-id-division-unknown = 证件号码的地区代码不在代码表中，已照常记录。请核对证件
error-overlap-recorded = 与该人已记录的服务时间重叠，重叠部分只计一次。请核对
error-another-name = 同一证件号码的姓名与以前不同。请核对证件
error-blanks-removed = 去掉了首尾空格
error-full-width = 全角字符已转为半角
error-id-lower-x = 证件号码末位小写 x 已改为大写
error-id-full-width = 证件号码的全角数字已转为半角
error-id-blanks = 去掉了证件号码中的空格
error-id-old-form = 15 位旧证件号码已换算为 18 位
error-uscc-repaired = 统一社会信用代码的书写已改正（空格、全角或小写）
error-formula-as-text = 内容以 = + - @ 开头，按文字保存，不作为公式
error-private-number-hidden = 文字中的证件或电话号码已隐去，声明中不含个人号码

## 命令的用法

error-unknown = 被拒绝（{ $code }）{ $values }。请把代码和日志交给维护人员
error-card-several = 文件里有 { $count } 张名片，只能接受一张。请只给一张
error-control-broken = 与节点的连接中断：{ $cause }。是否已执行未知，请先查看再重试
error-control-timeout = 节点 { $seconds } 秒内没有回答。是否已执行未知，请先查看再重试
error-demo-slow = 演示步骤 { $step } 太慢。请空出机器再试，日志在演示目录里
error-file-large = 文件 { $path } 超过 { $max } 字节的上限。请检查是否选错了文件
error-file-text = 文件 { $path } 不是 UTF-8 文本。请检查是否选错了文件
error-home-unset = 没有指明节点目录。请用 --home 或 YUNLING_HOME
error-peer-fingerprint = 核对码不符：电话中为 { $expected }，名片为 { $given }。请勿接受，打电话向对方核实
error-trust-conflict = { $path } 中“{ $name }”的密钥与另一张名片不同。请核实哪一张是真的，只用那一张
error-usage-values = 参数 { $argument } 的值个数不对。请看 --help
error-usage-invalid-value = 参数 { $argument } 的值“{ $value }”不可用，可用：{ $possible }。请改正
    .bare = 参数 { $argument } 的值“{ $value }”不可用。请看 --help
error-usage-unknown-argument = 没有参数 { $argument }，是否为 { $suggestion }？请看 --help
    .bare = 没有参数 { $argument }。请看 --help
error-usage-unknown-command = 没有命令 { $command }，是否为 { $suggestion }？请看 --help
    .bare = 没有命令 { $command }。请看 --help
error-usage-missing-argument = 缺少参数 { $argument }。请看 --help
error-usage-missing-command = 缺少命令。请看 --help
error-usage-conflict = 参数 { $argument } 与 { $other } 不能同时使用。请只用一个
    .bare = 参数 { $argument } 不能与其他参数同时使用或重复。请看 --help
error-usage-other = 命令用法不对。请看 --help
error-backup-copy = 备份已完成，但未能复制到 { $path }：{ $cause }。请检查第二存放处是否存在、已挂载且有空间；下次会再试
error-backup-damaged = { $path } 不完整或已被改动（{ $what }），未使用其中任何内容。请换一份副本或更早的备份
error-backup-exists = { $path } 已存在，备份不会覆盖文件。请另指定一个
error-backup-foreign = { $path } 不是本节点的密钥所签（其中写明 { $node }）。请使用本节点的备份
error-backup-form = { $path } 不是云岭的备份文件。请检查是否选错文件
error-backup-identity = { $path } 中没有备份私钥：{ $cause }。请给出保险柜中含 AGE-SECRET-KEY-1… 一行的文件
error-backup-identity-wrong = 该私钥打不开 { $path }。请使用备份之前 init（或 backup new-key）显示的私钥
error-backup-io = 备份无法使用 { $path }：{ $cause }。请检查目录是否存在、可写且有空间
error-backup-newer = { $path } 的格式版本为 { $version }，本程序只支持 { $known }。请安装新版云岭后再恢复
error-backup-passphrase = 无法从 { $path } 读取口令：{ $cause }。请把口令写在文件首行
error-backup-passphrase-short = 口令少于 { $min } 个字符，容易被猜出。请换更长的口令
error-backup-passphrase-wrong = { $path } 由口令加密，给出的不是该口令。请用 --passphrase-file 给出正确口令
error-backup-recipient = { $path } 不能使用：{ $cause }。请用 yunling backup new-key 生成新密钥
error-backup-recipient-missing = 没有备份加密公钥（{ $path }）。请用 yunling backup new-key 生成，并把显示的私钥存入保险柜
error-backup-running = 正在进行另一次备份。请等它结束
error-backup-unlock = 打开备份需要密钥。请给出 --identity 文件（保险柜中）或 --passphrase-file 文件
error-erasures-damaged = 删除清单 { $path } 第 { $line } 行无法读取，继续可能使已删除的数据恢复。请与其他备份中的清单核对修正后重试
error-erasures-io = 无法使用删除清单 { $path }：{ $cause }。请检查目录是否存在且可写，或在 [backup] erasures 中另指定位置
error-migration-backup = 存储是 { $from } 版的格式，升级之前必须先备份，而备份没有做成（目录 { $path }）：{ $cause }。存储未作改动。还没有备份公钥的，请先运行 yunling backup new-key 并把私钥存入保险柜；否则请检查该目录，再启动
error-repair-io = 修复不能使用 { $path }：{ $cause }。请检查磁盘和权限，再运行同一命令：它会重新开始
error-repair-no-store = { $path } 中没有存储，没有什么可修复。请检查 --home，或用 yunling restore 从备份恢复
error-repair-room = { $path } 所在磁盘剩余 { $free } MiB，修复需要 { $needed } MiB（读取用的副本和新的存储）。请清理空间后再试
error-repair-unfinished = { $path } 的修复没有完成，存储尚未就位。请再次运行 yunling repair
error-repair-swap = 不能用新的存储替换 { $path }：{ $cause }。如该目录是挂载点，请在 config.toml 的 [store] folder 中改用其下的子目录，再运行 yunling repair
error-repair-new-peers = 对等节点的名片有丢失。请用 --new-peer 逐个写出接纳过的节点，没有则写 --no-new-peers：不等待它们，同一档案可能由两处保管
error-restore-io = 恢复无法使用 { $path }：{ $cause }。请检查磁盘与权限，再执行同一命令，会重新开始
error-restore-new-peers = 请说明备份之后接纳了哪些节点：逐个写 --new-peer 节点，或写 --no-new-peers。备份不认识这些节点，而它们可能持有本节点已遗忘的记录与转出封存；不等它们，同一档案可能由两处同时保管
error-restore-other = { $path } 中有另一份备份未完成的恢复。请继续恢复那一份，或另选空目录
error-restore-profile-key = 配置指定的个人信息密钥位置 { $path } 已有另一把密钥。请先移走再试
error-restore-running = 另一次恢复正在 { $path } 中进行。请等它结束
error-fenced = 本节点由备份恢复，对方节点答复之前不能做此事；还缺：{ $missing }。请等待，或用 yunling recovery show 查看
    .bare = 本节点由备份恢复，对方节点全部答复之前不能做此事。请用 yunling recovery show 查看还缺哪些
error-fence-none = 本节点未被隔离，没有什么可解除。请用 yunling recovery show 查看
error-dossier-closed = 日志表明档案 { $dossier } 在恢复之前已转出，其封存尚未找到。请等待对方节点答复，或用 yunling recovery show 查看
    .bare = 日志表明该档案在恢复之前已转出，其封存尚未找到。请等待对方节点答复，或用 yunling recovery show 查看
error-dossier-not-closed = 档案 { $dossier } 没有关闭，无需重新开放。请用 yunling recovery show 查看
    .bare = 该档案没有关闭，无需重新开放。请用 yunling recovery show 查看
error-rejoin-lives = 该节点在备份之后恢复次数过多，见证节点无法逐一说出其日志。请恢复较新的备份，或用 yunling recovery lift 解除隔离
error-rejoin-note = 该节点的检查点过大，无法说出。请联系见证节点的单位
error-rejoin-entries = 见证节点没有交出其所说检查点之下的日志，会自动重试
error-rejoin-forked = 取回的日志与另一见证节点所说的检查点不符。请立即联系监督单位
error-fence-reason = 解除隔离要写明原因，不超过 { $max } 字节。请用 --reason 写明
    .bare = 解除隔离要写明原因。请用 --reason 写明
error-fence-missing-unnamed = 还缺 { $missing }，解除隔离必须逐个写明。请用 --without 写出每一个，或等待其答复
    .bare = 解除隔离必须逐个写明未答复的节点。请用 --without 写出每一个，或等待其答复
error-life-superseded = 对方见过本节点更新的任期：可能另有一份恢复的副本在运行。请停止其中一个
error-life-exhausted = 任期数已到上限，不能再恢复。请联系维护人员
error-known-cursor = 对方答复的页码不向前，未采用。请对方升级后重试
error-peer-restored = 对方节点由备份恢复，未完成的转移已取消。请重新出具转移码
error-restored = 本节点由备份恢复，未完成的转移已取消。请重新出具转移码
