# Audits of logs, and evidence.
help-audit = Replays the whole log of a node: each entry hashed again, each checkpoint seen compared
help-arg-audit-log = name of a peer, or folder of a log
help-arg-audit-trust = card files; with them a folder is replayed, without node and network
help-arg-audit-seen = checkpoint files of this log that were seen elsewhere
help-arg-audit-evidence = new file for the evidence, should anything contradict
help-evidence = Evidence: what a node has signed against itself
help-evidence-list = Lists the evidence this node has met
help-evidence-export = Writes one to a file
help-evidence-verify = Checks an evidence file with the card of the accused alone, without node and network
help-arg-evidence-export-id = its id in the list
help-arg-evidence-export-file = new file; none is written over
help-arg-evidence-verify-file = evidence file
help-arg-evidence-verify-trust = card files, that of the accused among them

audit-read = { $origin }: { $entries } entries replayed, { $checkpoints } checkpoints agree, confirmed up to { $confirmed }
audit-witnessed = The checkpoint ({ $size } entries) has the witnesses that the roster asks for
audit-unwitnessed = The checkpoint ({ $size } entries) lacks witnesses that the roster asks for: they have not answered yet, or they refused
audit-bilateral = The checkpoint ({ $size } entries) needs no witnesses (bilateral)
audit-other-root = ALARM: at { $at } entries the log is not what it signed before: old entries were rewritten or removed
audit-repeated-nullifier = ALARM: entry { $at } seals the same dossier and epoch as entry { $first }: it may have been given away twice
audit-malformed = ALARM: entry { $at } is no log entry
audit-missing = { $count } statements of it held here are not in its log: { $ids }
audit-untold = { $count } statements held here were voided or corrected by its log, and nobody told this node: { $ids }
audit-evidence = Evidence written to { $path }; anybody can check it with yunling evidence verify
audit-clean = Nothing found
audit-not-clean = Something is wrong, see above. Keep the evidence (yunling evidence list) and tell the supervisor

evidence-none = No evidence
evidence-two-roots = { $id } { $node }: log { $log } was signed with two roots at { $at } entries: two people were shown two histories
evidence-two-leaves = { $id } { $node }: log { $log } was signed with two contents of entry { $at }
evidence-rewritten = { $id } { $node }: the first { $at } entries of log { $log } were rewritten after they were signed
evidence-two-seals = { $id } { $node }: dossier { $log } was given away twice in epoch { $at }
evidence-dropped = { $id } { $node }: dossier { $log } lacks statement { $at }, which a receipt had acknowledged
evidence-written = Evidence written to { $path }
evidence-verified = The evidence holds: both sides bear the node's own signature
evidence-nothing = The file proves nothing: { $cause } ({ $code })

error-audit-fetch = The log of { $name } could not be fetched: { $cause }. Check the connection with yunling peer test { $name } and try again; what was fetched is kept
error-audit-incomplete = The log lacks the file { $path }. Ask for the whole folder
error-audit-no-log = There is no checkpoint in the folder: it is no log. Name the folder that holds checkpoint and tile
error-audit-unknown-log = The checkpoint is of { $origin }, and no card given has the key that signed it. Give its card with --trust
error-evidence-exists = { $path } exists already and is not written over. Choose another name
error-evidence-unknown = There is no evidence with id { $id }. See yunling evidence list
error-log-damaged = The log is damaged: { $cause }. Stop the node, check with yunling doctor, restore a backup
error-log-io = A file of the log cannot be used: { $cause }. Check space and permissions of the disk
error-pages-listen = Pages cannot be served at { $value }: { $cause }. Set another port in [pages] of config.toml

help-proof-receipt = Adds the proof's place in the log, so that others can check since when it stands there
help-arg-proof-receipt-proof = text of the proof, or a file of it
help-arg-proof-receipt-out = file for the text
help-arg-proof-receipt-png = file for the QR picture
help-arg-proof-verify-logged = take only proofs with a log receipt
proof-receipt = Receipt added: log { $origin }, entry { $index }, checkpoint of { $size } entries, { $witnesses } witnesses
verify-witnessed = It stands in log { $origin } (checkpoint of { $size } entries), seen by { $witnesses } witnesses before { $at }
verify-logged = It stands in log { $origin } (checkpoint of { $size } entries); no witnesses are set
error-proof-not-logged-yet = The proof is not in the log yet, or the witnesses have not cosigned. Try again in a minute
