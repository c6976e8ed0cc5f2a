# Errors and remarks: the rule, the value, the remedy. error-<code>, the same keys in both languages.

## The node and the way to it

error-node-unreachable = The node of { $home } cannot be reached: { $cause }. Start it with `yunling run`, or name its folder with --home
error-node-permission = The control socket of the node of { $home } is closed to this user: { $cause }. Act as the system user who runs the node
error-control-socket = The control socket { $path } cannot be used: { $cause }. Check the rights of the folder and start the node again
error-http = The node gave an answer that cannot be understood ({ $status }): { $body }. Check that command and node have the same version
error-request-form = The request does not have the form of the interface: { $cause }. Check that command and node have the same version
error-request-field = The request lacks `{ $field }`, or it has the wrong type. Give it and try again
error-internal = The program failed inside: { $cause }. Look whether the act was done before doing it again, and give the log to the maintainer
    .bare = The program failed inside. Look whether the act was done before doing it again, and give the log to the maintainer

## Home and configuration

error-home-missing = { $path } is no node's home (it has no config.toml). Run `yunling init` first, or name the home with --home
error-home-exists = { $path } is a node's home already and init never overwrites one. Use it, or choose an empty folder
error-home-not-empty = { $path } is not empty and init makes a home only in an empty folder. Choose another one
error-home-io = { $path } of the home cannot be read or written: { $cause }. Check that it exists, its rights and the free space
error-home-identity = Name and trial mark are fixed at init (stored { $stored }, now { $now }). Put config.toml back
error-config-io = Configuration { $path } cannot be read: { $cause }. Check that the file exists and its rights
error-config-syntax = Configuration { $path } has a wrong key or form: { $cause }. Correct the line named
error-config-value = `{ $value }` is no value of { $key }, which must be { $expected }. Correct config.toml
error-node-name = Node name `{ $value }` breaks the rule: 1 to 64 bytes of letters, digits and . - _ /. Correct it
error-division-unknown = Division code `{ $value }` is not in the national table (GB/T 2260). Give six digits such as 530100
error-key-file = Key file { $path } is missing or damaged (32 bytes in hexadecimal). Restore the folder keys from its backup
error-key-mode = Key file { $path } can be read by others and is not used. Run chmod 600 on it
error-sign-device = Signing failed: { $cause }. Check the signing key or device and try again
    .bare = Signing failed. Check the signing key or device and try again

## Files

error-file-write = File { $path } cannot be written: { $cause }. Check that the folder exists, its rights and the free space
error-file-read = File { $path } cannot be read: { $cause }. Check path and rights
error-qr-failed = The QR picture could not be made: { $cause }. Use the text of the proof

## Store

error-store-conflict = The same dossier is being changed too often at once, { $tries } tries; nothing was written. Try again in a moment
    .bare = The same dossier is being changed too often at once; nothing was written. Try again in a moment
error-store-damaged = A stored record is not what was written and is not used: { $cause }. Stop the node and run yunling repair, or restore a backup
    .bare = A stored record is not what was written and is not used. Stop the node and run yunling repair, or restore a backup
error-store-engine = The store failed, whether this was written is unknown: { $cause }. Look before doing it again; if it comes back, check the disk
    .bare = The store failed; whether this was written is unknown. Look before doing it again; if it comes back, check the disk
error-store-full = The disk has too little room: { $free } MiB free, { $needed } MiB must be; nothing was written, reading goes on. Make room, writing resumes by itself
    .opening = The disk of { $path } has too little room and the data folder was not opened: { $cause }. Make room and start the node again
    .bare = The disk has too little room (64 MiB must stay free); nothing was written, reading goes on. Make room, writing resumes by itself
error-store-io = Data folder { $path } cannot be used: { $cause }. Check that it exists, its rights and the disk
error-store-limit = More was to be written at once than the store takes, nothing was written: { $cause }. Do it in parts
    .bare = More was to be written at once than the store takes; nothing was written. Do it in parts
error-store-locked = Data folder { $path } is in use by another process. Act through the running node, or stop it first
error-store-lost = The store in { $path } has fewer or other records than were written, so it is not used: { $cause }. Check the disk, then run yunling repair (it keeps what is right and asks peers for the rest), or restore the last backup into an empty folder
error-store-newer = Data folder { $path } was written by a newer version (form { $found }, this program knows { $known }) and was not touched. Please use the newer program again
    .bare = The data folder was written by a newer version and was not touched. Please use the newer program again
error-store-owner = Data folder { $path } belongs to another node. Check store.folder in config.toml

## Cards and peers

error-card-text = There is no node card in { $path } (a line that begins with YC1:). Ask the other office for the output of `yunling peer invite`
    .bare = There is no node card in it (a line that begins with YC1:). Ask the other office for the output of `yunling peer invite`
error-card-encoding = The card is cut or changed and cannot be read: { $cause }. Ask the other office to send it again, best as a file
error-card-signature = The signature of the card does not fit its content, it may have been changed: { $cause }. Ask for it again and compare by telephone
error-card-missing-key = The card lacks a key it must have: { $cause }. Ask the other office to make it again with the same version
error-peer-self = `{ $name }` is the card of this node itself. Use that of the other office
error-peer-unknown = Node `{ $name }` is not an accepted peer. Accept its card first with `yunling peer accept` (see `yunling peer list`)
    .bare = The node is not an accepted peer. Both offices accept each other's card first with `yunling peer accept` (see `yunling peer list`)
error-pairing-signature = The pairing record is not signed with the keys of these offices, so it counts for nothing. Exchange cards again (yunling peer card / peer accept)
error-pairing-encoding = The pairing record cannot be read, so it counts for nothing. Ask the other office to upgrade, or exchange cards again
error-pairing-other = The pairing record speaks of other offices or other keys, so it counts for nothing. Exchange cards again and compare by telephone
error-peer-other-keys = Node `{ $name }` had fingerprint { $known } and now shows { $given }: other keys, so the card is not accepted. Compare by telephone; if they were changed, ask for a request signed by its recovery key and use yunling peer accept --key-change
error-peer-too-many = There are { $max } peers already, the most allowed. Remove those no longer used
error-trial-mixed = One of `{ $name }` and this node is a trial node, the other real; they do not mix. Use nodes of the same sort
    .bare = Trial and real nodes do not mix. Use nodes of the same sort

## Network

error-net-down = The network of this node does not run. Start it with `yunling run` and try again
error-net-address = Address `{ $value }` is malformed: { $cause }. Correct [net] in config.toml, for example /ip4/0.0.0.0/tcp/7440
error-net-listen = The address cannot be listened on, its port may be in use: { $cause }. Choose another port or stop the program that uses it
error-net-setup = The network cannot be set up: { $cause }. Check the network of the system
error-net-unknown-peer = The peer ({ $peer }) is not on the allow list. Both offices must accept each other's card
    .bare = The peer is not on the allow list. Both offices must accept each other's card
error-net-refused = The peer ({ $peer }) refuses the connection: it may not have accepted this node's card yet. Ask the other office to do so
    .bare = The peer refuses the connection: it may not have accepted this node's card yet. Ask the other office to do so
error-net-not-connected = There is no connection to the peer ({ $peer }); nothing was sent and it is tried again by itself. If urgent, run `yunling peer test`
    .bare = There is no connection to the peer; nothing was sent and it is tried again by itself. If urgent, run `yunling peer test`
error-net-dial-addresses = No usable address of the peer is known. Ask the other office for a new card
error-net-dial-resolve = The name in the peer's address { $address } cannot be resolved. Check DNS or use an IP address
    .bare = The name in the peer's address cannot be resolved. Check DNS or use an IP address
error-net-dial-connect = The peer's address { $address } cannot be reached. Check that it runs and that both firewalls let its UDP and TCP port through (7440 by default)
    .bare = The peer's address cannot be reached. Check that it runs and that both firewalls let its UDP and TCP port through (7440 by default)
error-net-dial-relay = The relay was reached but not the peer: the peer has no place there now, or the relay is no accepted peer. Check that the peer runs, and `relays` in both configurations
error-net-dial-handshake = The port of { $address } answers, but the encrypted handshake fails. Check for devices in between that intercept, and both versions
    .bare = The port answers, but the encrypted handshake fails. Check for devices in between that intercept, and both versions
error-net-dial-identity = Another node answers at { $address } than the card names. Compare the address and ask for a new card
    .bare = Another node answers at that address than the card names. Compare the address and ask for a new card
error-net-dial-limits = There are as many connections as allowed; it is tried again by itself
error-net-cut-off = The peer ({ $peer }) flooded this node and is cut off for a while; it is let in again by itself. Ask the other office to look at its node
    .bare = The peer flooded this node and is cut off for a while; it is let in again by itself. Ask the other office to look at its node
error-peer-hello-refused = The peer is reached but refused the hello. Ask the other office for its log, and compare both cards
error-net-timeout = The peer ({ $peer }) gave no answer in time and may have acted on it; it is tried again by itself, and counted once
    .bare = The peer gave no answer in time and may have acted on it; it is tried again by itself, and counted once
error-net-broken = The connection broke before the answer and the peer may have acted on it; it is tried again by itself, and counted once
error-net-busy = The peer is busy with earlier requests of this node; it is tried again by itself
error-net-too-large = It is longer than the protocol between nodes allows and was not sent. Give the log to the maintainer
error-net-peer-failed = The peer ({ $peer }) failed while answering. Ask the other office to look into its log
    .bare = The peer failed while answering. Ask the other office to look into its log
error-net-unsupported = The peer ({ $peer }) does not speak this version of the protocol. Use the same version on both sides
    .bare = The peer does not speak this version of the protocol. Use the same version on both sides
error-net-bulk-refused = The peer refused the bulk transfer. Look at the state of the transfer and the other office's log
error-net-bulk-cut = The bulk transfer was cut; what came is kept and it goes on by itself
error-net-bulk-aborted = The peer gave up the bulk transfer; what came is kept. Ask the other office to look into its log
error-net-malformed = The peer sent what is not of the protocol; it was dropped. Compare both versions
error-net-announce = The notice could not be sent; the next one will be
error-net-stopped = The network of this node is stopped. Start the node again

## Messages between nodes

error-message-encoding = The message breaks the encoding rules and was refused. Compare both versions
error-message-signature = The signature of the message does not verify; it was refused. Compare fingerprints with the other office
error-message-not-for-me = The message is for another node and was refused. Compare the addresses
error-message-unexpected = The message is not expected at this stage and was not acted on. See `yunling transfer show`, resume if needed
error-answer-unexpected = The peer's answer does not fit the request; it is tried again by itself. If it stays so, compare both versions
error-busy = The peer is moving this dossier; delivery is tried again by itself
error-stale-life = The peer takes this node for an earlier copy (a restored backup). Clear this with the other office before going on
error-clock = The time lies in the future, the clocks differ by over 10 minutes. Compare the clocks of both nodes
error-rule = The record breaks a rule in force at the custodian (such as the daily limit or not crossing midnight); a person decides. See `yunling delivery list`
error-receipt-expected = The peer gave no receipt; it is tried again by itself
error-receipt-other = The peer's receipt is for another record and not taken; it is tried again by itself
error-moved-unproven = The peer says that the dossier moved, without a valid seal to prove it; not believed. Ask the other office
error-moved-to-unknown-peer = The dossier moved to a node that is no accepted peer here. Accept that node's card first
error-held-refused = A person at the custodian refused this record. Ask the custodian
error-held-unknown = No delivery of statement { $statement } waits here. See `yunling delivery list`
    .bare = No such delivery waits here. See `yunling delivery list`
error-policy-grade = The evidence grade is below what this node takes by itself; a person decides, or it is refused. See `yunling delivery list`
error-policy-item-cap = The minutes of one record are over the cap for that node; a person decides. See `yunling delivery list`
error-policy-day-cap = The minutes of one day are over the cap for that node; a person decides. See `yunling delivery list`
error-policy-month-cap = The minutes of one month are over the cap for that node; a person decides. See `yunling delivery list`

## Volunteers

error-volunteer-unknown = No such volunteer. Compare dossier id, identity number or name, or register first (`yunling volunteer register`)
error-volunteer-ambiguous = { $count } volunteers have this name. Use the dossier id or the identity number
error-volunteer-exists = This identity number is registered already, dossier { $dossier }. Use that dossier
error-volunteer-missing = Exactly one of volunteer and volunteer's card must be given. Add or drop one
error-volunteer-card = Volunteer's card `{ $value }` must read DOSSIER@NODE. Ask the volunteer for it again
error-name-missing = There is no name. Give the name
error-name-long = The name has { $bytes } bytes, a proof holds at most { $max }. Issue it without the name
error-id-empty = The identity number is empty. Give its 18 characters
error-id-scientific = The identity number was turned into scientific notation and lost its last digits. Set the column to text and type it again
error-id-length = The identity number has { $length } characters and must have 18. Compare the document
    .bare = The identity number must have 18 characters. Compare the document
error-id-characters = The identity number holds something else than digits and a last X. Compare the document
error-id-truncated = The last digits of the identity number became zeroes, as a spreadsheet does. Set the column to text and type it again
error-id-checksum = The check digit of the identity number is wrong, a digit may be mistyped. Compare the document
error-id-birth-date = The birth date in the identity number does not exist. Compare the document
error-dossier-id = Dossier id `{ $value }` is malformed: it begins with yd and every character counts (a checksum ends it). Copy it from `yunling volunteer list`
error-dossier-unknown = This node does not know dossier { $dossier }. Compare the id, or use the volunteer's card
    .bare = The node does not know this dossier. Compare the id, or use the volunteer's card
error-dossier-moved = Dossier { $dossier } moved to { $node }; nothing can be appended or proven here. Go to that node
    .known = Dossier { $dossier } moved to another node; nothing can be appended or proven here. Go to its custodian (see `yunling volunteer card`)
    .bare = The dossier moved to another node; nothing can be appended or proven here. Go to its custodian (see `yunling volunteer card`)
error-dossier-held-here = Dossier { $dossier } is held here already, there is nothing to move. Use it as it is
    .bare = The dossier is held here already, there is nothing to move. Use it as it is
error-dossier-other = The statement belongs to another dossier and was refused. Compare the dossier id
error-dossier-repeated = The same statement is number { $sequence } of the dossier already and is not added again. Nothing is left to do
    .bare = The same statement is in the dossier already and is not added again. Nothing is left to do
error-dossier-sealed = The dossier is sealed; only { $node } may go on. Wait until the transfer ends
    .bare = The dossier is sealed; only its next custodian may go on. Wait until the transfer ends

## Records

error-consent-missing = The dossier does not begin with a consent (67号 Art. 6). Record the consent first
error-consent-receiver = The receiver in the consent is not the receiving node `{ $name }` (PIPL Art. 23). Authorise again for that node
    .bare = The receiver in the consent is not the receiving node (PIPL Art. 23). Authorise again for that node
error-not-custodian = Only its custodian { $node } may append to this dossier. Go to that node
    .bare = Only the custodian may append to this dossier. Go to the custodian
error-custodian-unknown = It is not known who holds dossier { $dossier } now. Record with the volunteer's card
    .bare = It is not known who holds this dossier now. Record with the volunteer's card
error-not-issuer = Only { $node }, which recorded it, may correct or void it (R-12). Ask that node
    .bare = Only the node that recorded it may correct or void it (R-12). Ask that node
error-not-receivable = A received statement must follow its own seal; refused. Start the transfer again
error-target-unknown = The dossier has no record { $statement }, or it is no service. Copy the statement id from `yunling dossier show`
    .bare = There is no such record, or it is no service. Copy the statement id from `yunling dossier show`
error-already-void = Record { $statement } is void already, or listed twice, and cannot be changed. If the hours are right, record them anew
    .bare = This record is void already and cannot be changed. If the hours are right, record them anew
error-statement-id = Statement id `{ $value }` is malformed: it begins with ys and every character counts (a checksum ends it). Copy it from `yunling dossier show`
error-void-count = { $count } records were given, 1 to { $max } are voided at once. Give their ids, or do it in parts
error-correction-empty = The correction changes nothing. Give at least one new value
error-record-duplicate = A record of the same person, unit, activity and time ({ $when }) exists and is not made again. If it is another service, compare the time
    .bare = A record of the same person, unit, activity and time exists and is not made again. If it is another service, compare the time
error-recorder-missing = There is no recording unit. Give its name
error-field-missing = Activity, content and place must not be empty (67号 Art. 7); still empty: { $missing }. Complete them
    .bare = Activity, content and place must not be empty (67号 Art. 7). Complete them
error-time-form = Time `{ $value }` must read YYYY-MM-DD or YYYY-MM-DD HH:MM. Correct it
error-when-missing = Give start and end, or only a day with its minutes; the two do not mix. Complete it
error-minutes-missing = A record without clock times must state its minutes. Give them
error-minutes-zero = The minutes must not be zero. Compare the duration
error-minutes-over-span = { $minutes } minutes are stated, more than lie between start and end ({ $when }). Compare times and duration
    .bare = More minutes are stated than lie between start and end. Compare times and duration
error-minutes-overflow = The sum of the minutes is beyond anything possible; refused. Compare the duration
error-end-before-start = The end is not after the start ({ $when }). Compare both times
    .bare = The end is not after the start. Compare both times
error-in-future = The service ({ $when }) lies in the future and cannot be recorded. Compare the time and this machine's clock
    .bare = The service lies in the future and cannot be recorded. Compare the time and this machine's clock
error-crosses-midnight = The service ({ $when }) crosses midnight, which the rules in force do not allow. Split it by day
    .bare = The service crosses midnight, which the rules in force do not allow. Split it by day
error-over-day = With the { $minutes } minutes of { $when } there is more time on one day than the rules in force allow. Compare, or split it by day
    .bare = More time on one day than the rules in force allow. Compare, or split it by day
error-overlap = The time overlaps row { $other } of the same person and counts once. Please compare
    .bare = The time overlaps another record of this person and counts once. Please compare
error-day-over-flag = Over 8 hours on that day; recorded and marked. Please compare
error-grade-form = There is no evidence grade `{ $value }`; use A, B, C, D, E or X
error-entry-way = There is no entry way `{ $value }`; use group, individual, time-code, app, automatic or back-entry
error-uscc-form = `{ $value }` is no unified social credit code: 18 digits and capital letters (no I O S V Z). Compare the certificate
    .bare = A unified social credit code has 18 digits and capital letters (no I O S V Z). Compare the certificate
error-uscc-checksum = The check character of unified social credit code `{ $value }` is wrong, one may be mistyped. Compare the certificate
    .bare = The check character of the unified social credit code is wrong, one may be mistyped. Compare the certificate

## Statements

error-statement-encoding = The statement breaks the encoding rules and was refused: { $cause }. Compare its source
    .bare = The statement breaks the encoding rules and was refused. Compare its source
error-statement-unknown-field = The statement has a field that this version does not know, refused: { $cause }. Upgrade this node
    .bare = The statement has a field that this version does not know; refused. Upgrade this node
error-statement-bad-signature = The signature of a statement of { $issuer } does not verify: changed or forged; refused. Ask the issuer for it again
    .bare = The signature of the statement does not verify: changed or forged; refused. Ask the issuer for it again
error-statement-no-key = Issuer { $issuer } has no key valid at that time; the statement was refused. Ask the other office for a new card
    .bare = The issuer has no key valid at that time; the statement was refused. Ask the other office for a new card
error-issuer-unknown = The dossier holds a statement of { $issuer }, whose card this node does not have; stopped. Ask for that card, accept it, then run `yunling transfer resume`
    .bare = The dossier holds a statement of a node whose card this node does not have; stopped. Ask for that card, accept it, then run `yunling transfer resume`
error-statement-envelope = The envelope of the statement breaks the rules and was refused: { $cause }. Compare its source
    .bare = The envelope of the statement breaks the rules and was refused. Compare its source
error-statement-typ = It is no Yunling statement and was refused. Compare its source
error-statement-name = A node name in the statement breaks the rules; refused. Compare its source
error-statement-trial = Trial and real statements do not mix; refused. Use nodes of the same sort
error-statement-beside = A receipt is never part of a chain; refused. Compare its source
error-statement-newer-version = The dossier holds a critical statement that this version does not know (kind { $kind }); its sums cannot be told. Upgrade this node
    .bare = The dossier holds a critical statement that this version does not know; its sums cannot be told. Upgrade this node
error-secrets-missing = This node lacks the key or profile of dossier { $dossier }, or cannot decrypt it. Compare its custodian and profile.key
    .bare = The node lacks the key or profile of this dossier, or cannot decrypt it. Compare its custodian and profile.key

## Transfers

error-given-by = `{ $value }` cannot give consent; use volunteer, guardian or unit
error-transfer-id = Transfer id `{ $value }` is malformed: it begins with yt and every character counts (a checksum ends it). Copy it from `yunling transfer list`
error-transfer-unknown = There is no transfer { $transfer }. See `yunling transfer list`
    .bare = There is no such transfer. See `yunling transfer list`
error-transfer-other = The message belongs to another transfer; refused. See `yunling transfer show`
error-transfer-other-head = The dossier has grown since; the copy is old and is made again
error-transfer-copy-differs = The copy does not fit the head, count or epoch that the peer told; stopped. Both offices compare the dossier, then cancel and authorise again
error-transfer-minutes-differ = By the rules of this node the copy counts other minutes than the peer told; stopped. Both offices compare versions and dossier, then cancel and authorise again
error-transfer-expired = The transfer did not end while its authorisation was valid and was cancelled by itself. Authorise again
error-operator = A person cancelled or refused it without naming a reason. Ask the other office by telephone
error-transfer-in-progress = Dossier { $dossier } is being moved and cannot be changed. Wait until it ends, or cancel the transfer first
    .bare = The dossier is being moved and cannot be changed. Wait until it ends, or cancel the transfer first
error-transfer-not-now = This cannot be done at the stage `{ $stage }` of the transfer. See `yunling transfer show`
    .bare = This cannot be done at the present stage of the transfer. See `yunling transfer show`
error-transfer-after-seal = The dossier of transfer { $transfer } is sealed and can no longer be cancelled or refused. Finish it with `yunling transfer resume`
    .bare = The dossier is sealed and can no longer be cancelled or refused. Finish it with `yunling transfer resume`
error-transfer-stage-order = A part came out of order; refused. Go on with `yunling transfer resume`
error-transfer-done-only-with-release = The transfer can end only with its release. Wait, or run `yunling transfer resume`
error-transfer-epoch = The custody epoch does not fit; this is an old transfer. Authorise again
error-transfer-not-authorised = There is no valid authorisation for dossier { $dossier }. The volunteer asks the old office for a code
    .bare = There is no valid authorisation for this dossier. The volunteer asks the old office for a code
error-transfer-code-form = The transfer code is malformed. Compare every character with the slip
error-transfer-code-wrong = The transfer code is wrong; refused. Compare the slip
error-transfer-code-expired = The transfer code has expired. The volunteer asks the old office for a new one
error-transfer-code-spent = The transfer code was used already; each serves once. Ask for a new one
error-transfer-copy-forks = The dossier was here before, and its history as sent differs from the one it left with; stopped. Keep both offices' data, telephone, and report it
error-seal-mismatch = The seal does not fit the dossier ({ $what }); stopped. Both offices must compare epoch, head, count, minutes and balance
    .bare = The seal does not fit the dossier (epoch, head, count, minutes or balance); stopped. Both offices must compare
error-seal-missing = The seal of this transfer is not in the store. Restore the backup and ask the other office

## Proofs

error-proof-too-high = { $asked } hours were asked for, the dossier has { $hours }. Ask for no more than that
    .bare = More hours were asked for than the dossier has. Ask for no more than that
error-proof-days = { $days } days were asked for, a proof is valid for 1 to { $max }. Correct it
error-proof-recorders = There are { $count } recording nodes, one proof holds at most { $max }. Issue several
error-proof-status-unknown = The signature is valid; whether it was revoked since is unknown. For weighty uses ask the issuer
error-proof-not-a-proof = It is not a Yunling proof, or cut short. Scan again or ask for the original text
error-proof-malformed = The encoding of the proof breaks its rules. Ask for the original
error-proof-forged = The signature does not fit the content: changed or forged. Do not accept it, ask for the original
error-proof-unknown-issuer = The issuer is not among the cards given. Give its card with --trust
error-proof-unknown-key = The issuer's card has no such key. Ask for the issuer's new card and verify again
error-proof-date-unproven = The key's window does not hold the date of issue or today, so nothing proves the date. Ask for a fresh proof
error-proof-expired = The proof expired on { $expires }. Ask for a fresh one
    .bare = The proof has expired. Ask for a fresh one
error-proof-from-future = The proof is dated in the future, { $issued }. Compare this machine's clock
    .bare = The proof is dated in the future. Compare this machine's clock
error-proof-newer-version = The proof was made by a newer version and holds what this one does not know. Upgrade and verify again
error-proof-receipt-bad = The log receipt in the proof does not hold: changed or forged. Do not accept it, ask for the original
error-proof-receipt-unknown-key = The log receipt is signed by a key that the issuer's card does not have. Ask for the issuer's new card and verify again
error-proof-not-witnessed = It stands in the issuer's log, but too few witnesses have cosigned. Ask for a fresh copy later, or ask the issuer
error-proof-not-logged = The proof has no log receipt, and one is wanted here. Ask the issuer for the proof with its receipt
error-proof-issuer-removed = Peering with the issuer { $issuer } has ended. Ask its superior or the present custodian
    .bare = Peering with the issuer has ended. Ask its superior or the present custodian

## Sheets

error-sheet-io = Cannot read { $path }: { $cause }. Check path and rights
error-sheet-too-large = The file has { $bytes } bytes, at most { $max } are read. Split the sheet
error-sheet-unfolds = The file unfolds to more than { $max } bytes. Save it without pictures, or split it
error-sheet-password = The file is protected by a password. Open it, save it without one, import again
error-sheet-not-a-sheet = The file is no sheet but { $found }. Open it in a spreadsheet program and save it as .xlsx
error-sheet-unreadable = The file cannot be read as a sheet: { $cause }. Open it in a spreadsheet program and save it again
error-sheet-encoding = The text is neither UTF-8 nor GB18030. Save it as .xlsx or as CSV UTF-8
error-sheet-unknown = There is no worksheet `{ $wanted }`; the file has { $known }. Name one of them with --sheet
error-sheet-header-missing = No header row in the first { $rows } rows. Name the columns with --map 列名=field
error-sheet-columns-missing = The header row { $row } has no column for { $missing }. Rename it or use --map 列名=field
error-sheet-map-column = Header row { $row } has no column `{ $column }`. Compare the name in --map
error-sheet-map-field = `{ $given }` is not 列名=field; fields are { $known }. Correct --map
error-sheet-too-many-rows = The sheet has over { $max } rows. Split it
error-sheet-too-many-columns = Row { $row } has a value beyond column { $max }. Delete what is not part of the table
error-sheet-too-many-cells = The sheet has over { $max } cells. Delete what is not part of the table, or split it
error-sheet-cell-too-long = A cell of row { $row } has { $chars } characters, at most { $max } are read. Shorten it
error-refused-over-source = Report { $path } is the imported file itself, which is never overwritten. Name another file
error-refused-sheet = The sheet of refused rows could not be made: { $cause }. Use --json to see the rows
error-refused-io = The sheet of refused rows { $path } cannot be written: { $cause }. Check that the folder exists, its rights and the free space

## Rows of a sheet

error-activity-empty = The activity name is empty. Give it
error-content-empty = The content is empty. Give it
error-place-empty = The place is empty. Give it
error-organization-empty = The organization is empty. Give it
error-name-empty = The name is empty. Give it
error-start-empty = The start is empty. Give it
error-hours-empty = Without an end the hours must be stated. Give them
error-in-charge-empty = The person in charge is empty; recorded as it stands
error-cell-error = The cell holds a formula error (such as #N/A). Type the value itself
error-date-unreadable = Date `{ $value }` cannot be read; write it like 2025-01-04
error-start-unreadable = Start `{ $value }` cannot be read; write it like 2025-01-04 09:00
error-end-unreadable = End `{ $value }` cannot be read; write it like 2025-01-04 11:50
error-hours-unreadable = Hours `{ $value }` cannot be read; write them like 3.5, 3.5小时, 3h30 or 210分钟
error-start-without-day = The start has a time but no day. Add the day or a date column
error-start-in-future = The start lies in the future ({ $when }). Compare the time and this machine's clock
    .bare = The start lies in the future. Compare the time and this machine's clock
error-end-in-future = The end lies in the future ({ $when }). Compare the time and this machine's clock
    .bare = The end lies in the future. Compare the time and this machine's clock
error-hours-over-span = { $minutes } minutes are stated, over a minute more than the { $span } between start and end. Compare them
error-text-too-long = The text has { $bytes } bytes, at most { $max } fit. Shorten it
error-too-many-codes = More than { $max } codes. Give fewer
error-stated-shorter = { $minutes } minutes are stated for a span of { $span }; the stated ones count (breaks)
error-no-clock-times = No clock times: recorded by day with the stated hours, grade E
error-entry-way-unknown = The entry way is not known; recorded as grade E
error-id-division-unknown = The division in the identity number is not in the table; recorded as it stands. Compare the document
error-overlap-recorded = The time overlaps a service already recorded for this person and counts once. Please compare
error-another-name = The same identity number came with another name. Compare the document
error-blanks-removed = Blanks at the ends were removed
error-full-width = Full-width characters were made plain
error-id-lower-x = The last x of the identity number was made a capital
error-id-full-width = Full-width digits of the identity number were made plain
error-id-blanks = Blanks in the identity number were removed
error-id-old-form = The old identity number of 15 digits was written with 18
error-uscc-repaired = The writing of the unified social credit code was put right (blanks, full-width or small letters)
error-formula-as-text = The text begins with = + - or @ and is kept as text, never as a formula
error-private-number-hidden = An identity or telephone number in the text was hidden; statements hold none

## The use of commands

error-unknown = Refused ({ $code }) { $values }. Give the code and the log to the maintainer
error-card-several = The file holds { $count } cards, one is accepted at a time. Give one
error-control-broken = The connection to the node broke: { $cause }. Whether it acted is unknown, look before trying again
error-control-timeout = The node did not answer within { $seconds } s. Whether it acted is unknown, look before trying again
error-demo-slow = Demo step { $step } took too long. Free the machine and try again, logs are in the demo folder
error-file-large = File { $path } is over its limit of { $max } bytes. Check whether it is the right one
error-file-text = File { $path } is not UTF-8 text. Check whether it is the right one
error-home-unset = No home is named. Use --home or YUNLING_HOME
error-peer-fingerprint = The fingerprint differs: { $expected } was told, the card has { $given }. Do not accept it, ask the other office by telephone
error-trust-conflict = { $path } holds other keys for `{ $name }` than another card. Find out which is real and give only that one
error-usage-values = The number of values of { $argument } is wrong. See --help
error-usage-invalid-value = `{ $value }` is no value of { $argument }; use one of { $possible }
    .bare = `{ $value }` is no value of { $argument }. See --help
error-usage-unknown-argument = There is no argument { $argument }; was { $suggestion } meant? See --help
    .bare = There is no argument { $argument }. See --help
error-usage-unknown-command = There is no command { $command }; was { $suggestion } meant? See --help
    .bare = There is no command { $command }. See --help
error-usage-missing-argument = { $argument } is missing. See --help
error-usage-missing-command = A command is missing. See --help
error-usage-conflict = { $argument } and { $other } exclude each other. Give one
    .bare = { $argument } excludes another argument or may be given once. See --help
error-usage-other = The command was not used as it is meant. See --help
error-backup-copy = The backup is made but could not be copied to { $path }: { $cause }. Check that the second folder exists, is mounted and has room; the next run tries again
error-backup-damaged = { $path } is cut or changed ({ $what }) and nothing of it was used. Take another copy of it, or an older backup
error-backup-exists = { $path } exists already and a backup never overwrites a file. Name another one
error-backup-foreign = { $path } was signed by other keys than this node's (it says { $node }). Take a backup that this node made
error-backup-form = { $path } is not a backup of Yunling. Check whether it is the right file
error-backup-identity = { $path } holds no identity that opens backups: { $cause }. Give the file with the line AGE-SECRET-KEY-1… from the safe
error-backup-identity-wrong = This identity does not open { $path }. Give the one that init (or backup new-key) printed before the backup was made
error-backup-io = The backup cannot use { $path }: { $cause }. Check that the folder exists, may be written and has room
error-backup-newer = { $path } has format version { $version }, this program knows { $known }. Install the newer version of Yunling and restore with it
error-backup-passphrase = No passphrase can be read from { $path }: { $cause }. Put it into the first line of the file
error-backup-passphrase-short = The passphrase has fewer than { $min } characters and could be guessed. Choose a longer one
error-backup-passphrase-wrong = { $path } is closed with a passphrase, and this is not it. Give the right one with --passphrase-file
error-backup-recipient = { $path } cannot be used: { $cause }. Make a new key with yunling backup new-key
error-backup-recipient-missing = There is no key to encrypt backups to ({ $path }). Make one with yunling backup new-key and put the identity it prints into the safe
error-backup-running = Another backup is being made. Wait for it to end
error-backup-unlock = A backup opens only with a key. Give --identity FILE (from the safe) or --passphrase-file FILE
error-erasures-damaged = Line { $line } of the list of erasures { $path } cannot be read; going on could bring back erased data. Compare it with the list in another backup, mend it, try again
error-erasures-io = The list of erasures { $path } cannot be used: { $cause }. Check that the folder exists and may be written, or name another place in [backup] erasures
error-migration-backup = The store has the form of version { $from }; before it is brought to the present one a backup must be made, and that failed (folder { $path }): { $cause }. The store was not changed. Where there is no backup key yet, run yunling backup new-key and put the identity into the safe; else check that folder, then start again
error-repair-io = The repair cannot use { $path }: { $cause }. Check the disk and the rights, then run the same command again: it begins anew
error-repair-no-store = There is no store in { $path }, so there is nothing to repair. Check --home, or restore a backup with yunling restore
error-repair-room = The disk of { $path } has { $free } MiB free, the repair needs { $needed } MiB (a copy to read, and the new store). Make room, then try again
error-repair-unfinished = The repair of { $path } was cut off and its store is not in place. Run yunling repair again
error-repair-swap = The new store cannot take the place of { $path }: { $cause }. If that folder is a mount, name a folder below it as [store] folder in config.toml, then run yunling repair again
error-repair-new-peers = Cards of peers were lost. Name each node that was accepted with --new-peer, or give --no-new-peers: if they are not waited for, two offices could keep one dossier
error-restore-io = The restore cannot use { $path }: { $cause }. Check the disk and the rights, then run the same command again: it begins anew
error-restore-new-peers = Say which peers were accepted after the backup was made: --new-peer NODE for each, or --no-new-peers. The backup does not know them, but they may hold records and seals of this node that it has forgotten; without them two offices could keep one dossier
error-restore-other = { $path } holds a half-finished restore of another backup. Go on with that one, or choose an empty folder
error-restore-profile-key = The configuration puts the profile key at { $path }, where another key lies. Move that one away, then try again
error-restore-running = Another restore works in { $path }. Wait for it to end
error-fenced = This node was restored from a backup and may not do this before its peers have answered; missing: { $missing }. Wait, or look with `yunling recovery show`
    .bare = This node was restored from a backup and may not do this before its peers have answered. See who is missing with `yunling recovery show`
error-fence-none = This node is not fenced, there is nothing to lift. Look with `yunling recovery show`
error-dossier-closed = The log shows that dossier { $dossier } was moved before the restore, and its seal is not found yet. Wait for the peers, or look with `yunling recovery show`
    .bare = The log shows that the dossier was moved before the restore, and its seal is not found yet. Wait for the peers, or look with `yunling recovery show`
error-dossier-not-closed = Dossier { $dossier } is not closed, there is nothing to open. Look with `yunling recovery show`
    .bare = The dossier is not closed, there is nothing to open. Look with `yunling recovery show`
error-rejoin-lives = The node was restored too often since the backup for its witnesses to name every log. Restore a newer backup, or lift the fence with `yunling recovery lift`
error-rejoin-note = A checkpoint of the node is too large to be named. Ask the witness's office
error-rejoin-entries = The witness did not hand over the entries under the checkpoint it named; it is tried again by itself
error-rejoin-forked = The entries do not agree with a checkpoint that another witness named. Call the supervisor now
error-fence-reason = Lifting the fence needs a reason of at most { $max } bytes. Give it with --reason
    .bare = Lifting the fence needs a reason. Give it with --reason
error-fence-missing-unnamed = Missing are { $missing }, and lifting the fence must name each. Give every one with --without, or wait for it
    .bare = Lifting the fence must name every peer that has not answered. Give each with --without, or wait for it
error-life-superseded = A peer has seen a newer life of this node: a restored copy may be running elsewhere. Stop one of the two
error-life-exhausted = The number of lives is at its limit and no restore is possible. Call the maintainer
error-known-cursor = The pages a peer told do not go forward and were not used. Ask the peer to upgrade, then try again
error-peer-restored = The other node was restored from a backup and the unfinished move was cancelled. Issue a new code
error-restored = This node was restored from a backup and the unfinished move was cancelled. Issue a new code
