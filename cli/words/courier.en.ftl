# Courier files, and why one is refused.
help-courier = Courier files: for offices that no network joins, carried by mail or on a stick
help-courier-export = Write what waits for an office into a new sealed file
help-courier-import = Take a file of another office; it may come twice, late, in any order
help-arg-courier-export-to = Office that is to read it
help-arg-courier-export-file = New file; an existing one is never overwritten
help-arg-courier-import-file = Courier file

courier-written = { $file }: file no. { $number } for { $to } with { $messages } messages, { $answers } answers, { $statements } statements of dossiers. Only { $to } can open it; send it by any way, and write another whenever it may be lost
courier-more = Not everything had room. Bring this file, import the answer, then export again
courier-taken = File no. { $number } of { $from }, made { $made }: { $messages } messages taken, { $ended } own messages ended, { $statements } statements of dossiers copied
courier-refused = { $code }: { $count } messages not taken now. The answer tells the other office why
courier-stale = { $from } has been restored since: answers in this file count for nothing
courier-older = This file, or a newer one of { $from }, was taken before
courier-answer = Now bring the answer: yunling courier export --to { $from } FILE

error-courier-clock = The file is dated { $at }, in the future by this clock; nothing was changed. Compare the clocks of both offices, then import it again
error-courier-cut = The file is incomplete: { $found } bytes where { $expected } belong; nothing was changed. Copy the file again, or ask for another export
error-courier-damaged = The file was changed on the way ({ $what }); nothing was changed here. Copy the file again, or ask for another export
error-courier-exists = { $path } exists already and a courier file never overwrites another. Name a new one
error-courier-form = The file is not a courier file of Yunling; nothing was changed. Check whether it is the right file
error-courier-key = The file is closed to a key that this node does not have; nothing was changed. Give the sender this node's newest card (yunling peer card) and ask for another export
error-courier-large = The file has { $bytes } bytes, a courier file has at most { $max }; nothing was changed. Check whether it is the right file
error-courier-newer = The file has format version { $version }, which this program does not know; nothing was changed. Install the newer version of Yunling and import it again
error-courier-no-key = The card of { $name } has no encryption key that counts now. Ask that office for its newest card, accept it (yunling peer accept), export again
error-courier-not-for-me = The file is for { $to }, and this node is { $me }; nothing was changed. Bring it to { $to }
error-courier-sender-unknown = The file comes from { $from }, which is not an accepted peer; nothing was changed. Compare fingerprints by telephone and accept its card first (yunling peer accept)
error-courier-signature = The file says that it comes from { $from } but is not signed with the key of its card; nothing was changed. Telephone { $from } and ask whether it sent the file
