## Takeover (the custodian is gone)

help-takeover = Take over dossiers of an office that is gone
help-takeover-announce = Announce a takeover: members have 30 days to object
help-takeover-list = List announced takeovers
help-takeover-complete = Take a dossier over when its notice is over
help-takeover-cancel = Give a takeover up
help-arg-takeover-announce-from = Office that is gone
help-arg-bundle = Bundle files: the volunteer's own (dossier export --own) and old data; repeatable
help-arg-takeover-announce-log = Folder with its log; without it the mirror that audit made
help-arg-takeover-announce-name = Full name, as checked at the desk
help-arg-dossier-export-own = The volunteer's own bundle, with the dossier key and the custodian's signature; give it to the volunteer only

takeover-announced = Announced: dossier { $dossier } of { $from }, { $count } statements, { $hours } h. The notice ends on { $ends }; until then nothing is recorded and the balance is frozen. Then run yunling takeover complete { $dossier }
takeover-longer = { $more } statements after the end of the bundle were completed from what this node holds
takeover-none = No takeover is announced
takeover-completed = Taken over: dossier { $dossier }, { $length } statements, { $hours } h, custody epoch { $epoch }, marked as rebuilt for ever
takeover-cancelled = The takeover of dossier { $dossier } was given up
dossier-own = Note: the volunteer's own bundle holds the dossier key. Give it to the volunteer only

head-gone = Gone
head-notice-ends = Notice ends
head-days-left = Days left
head-complete = Have/signed
word-rebuilt = rebuilt by a successor
word-takeover-noticed = under notice
word-takeover-stopped = stopped by an objection
word-kind-takeover = takeover

error-bundle-encoding = Not a bundle, or damaged: { $cause }. Export it again with dossier export --own, or take another
error-takeover-not-successor = The roster does not name this node as the successor of { $name }. Adopt the roster that does first
    .bare = The roster does not name this node as the successor. Adopt the roster that does first
error-takeover-unproven = Takeover or notice against the roster: it does not name the signer as successor, or names another checkpoint. Adopt the newest roster, then ask the sender
error-takeover-no-key = No bundle holds the dossier key. Ask the volunteer for the own bundle (made by dossier export --own)
error-takeover-sealed-away = The old node sealed this dossier and gave it away: it cannot be taken over. Ask the node it went to
error-takeover-other-custodian = The dossier in the bundle is not held by { $name }. Check the file, or ask its custodian
    .bare = The dossier in the bundle is not held by that node. Check the file
error-takeover-forks = The old node signed a head of another chain than the bundle's: stopped. Keep both files, compare by telephone, report it
error-takeover-head-unsigned = The old node did not sign the end of this bundle, so it may be cut. Use a file made by dossier export --own, or add old data
error-takeover-shorter = The bundle has { $count } statements, the old node signed { $need }: incomplete, not taken over. Add a newer bundle or old data and announce again
    .bare = The bundle is shorter than what the old node signed: incomplete, not taken over. Add a newer bundle or old data and announce again
error-takeover-log-needed = The old node's log was not searched up to the checkpoint in the roster. Give its folder with --log and announce again
error-takeover-log-short = The log in { $path } does not reach the { $size } entries that the roster names ({ $origin }). Ask a witness or the old office for the whole log and give it with --log
    .bare = The log does not reach the checkpoint in the roster. Give the whole log with --log
error-takeover-log-differs = The log in { $path } does not come to the checkpoint in the roster ({ $origin }, { $size } entries). Take another copy, and report it
    .bare = The log does not come to the checkpoint in the roster. Take another copy, and report it
error-takeover-change-missing = The old node's log holds a correction or void of this dossier that the bundle lacks. Add a newer bundle or old data
error-takeover-notice = The notice has { $days } days left (until { $ends }); nothing is taken over before. Try again then
    .bare = The notice is not over yet; nothing is taken over before. Try again then
error-takeover-stopped = A member showed a signature of the old node: the takeover is stopped. See yunling takeover list, check, then cancel
error-takeover-unknown = No takeover of dossier { $dossier } is announced. Run takeover announce first
    .bare = No takeover of this dossier is announced. Run takeover announce first
error-takeover-too-many = Too many statements lie beside this dossier: stopped. Ask the developers
error-takeover-mismatch = The takeover does not match the dossier ({ $what }): refused. Check epoch, head, count and notice
    .bare = The takeover does not match the dossier (epoch, head, count or notice): refused. Check where it came from
error-objection-unproven = What the member answered does not verify or was known; it is asked again automatically

head-suspended = Of these by a suspended issuer
word-statement-disputed = in dispute (issuer suspended)
