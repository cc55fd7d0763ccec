# Every page
language-name = English
site = Notices about your line's safety
skip = Skip to the content
languages = Language
foot = This site never asks for personal data, passwords or payment. It uses no cookies.
foot-made = Made with noroshi (狼煙).

# The notice
notice-title = We have seen traffic from your line that looks like that of an infected device
notice-lead = This is { $operator }. This is not about a bill or a penalty. In many cases you can solve it yourself with the steps below.
reference = Reference
what-title = What was seen
what-when = Time (Japan Standard Time)
what-address = IP address
what-device = Kind of device (likely)
what-malware = Name of the malware
malware-means = Malware is malicious software, such as a virus.
what-total = Times seen
what-times = { $count }
what-listed = The newest { $listed } are listed.
what-none = The single times are no longer kept, because their retention period is over.
what-unsure = Which device it is cannot be seen from outside. Check every device on the same line, those on Wi-Fi too.
about-title = What it means
steps-title = What to do
steps-offer = There are { $steps } steps. Take them one by one, in order.
steps-button = Show the steps
steps-tick = Finished
steps-tick-note = The “finished” marks stay on this screen and are sent to nobody.
done-button = I did it
done-hint = Press when you have finished. { $operator } learns only that you pressed it.
links-title = More
go-genuine = Check that this is genuine
go-ask = Ask a person
go-stop = Stop these notices
why-title = Why { $operator } is telling you
why-takedown-notice = Your line's address was in the records of an attack server that was shut down by the authorities. To avert the present danger to your device, we used the address and the time, and nothing else, to find the contract, for this notice only.
why-infection-notice = An organisation that observes infected devices told us. By the consent in your contract, we used the address, port and time, and nothing else, to find the contract, for this notice only. You may withdraw the consent at any time.
why-other = Within what the law allows, we used only what was needed to find the contract, for this notice only. The desk below tells you the basis.
genuine-title = How to check that this is genuine
genuine-1 = Close this page. Search for { $operator }'s website yourself, or look at your contract or bill, and find the desk's telephone number there.
genuine-2 = Give the desk the reference { $number }. If they can tell you the same, it is genuine.
genuine-3 = This page never asks you for a password or payment data, to buy software, or to let somebody control your computer. If a page does, it is a fake.
ask-title = Ask a person
ask = { $desk }
ask-hint = Have the reference { $number } at hand; it saves time.
valid-until = This page opens until { $until }.
valid-open = This page can be opened as often as you like for some time.

# Where it stands
state-done-title = Thank you for telling us
state-done = We have noted that you did it. If the traffic is not seen again for { $days } days, the matter is closed. If it is, we will tell you.
state-clean-title = The traffic has stopped
state-clean = It has not been seen for { $days } days. If you have not done the steps below yet, do them all the same, so that it does not come back.
state-stopped-title = These notices are stopped
state-stopped = You will get no more notices like this. The device stays infected until the steps are done. To get notices again, contact the desk below.

# Stopping
stop-title = Stop these notices?
stop-means-1 = If traffic of an infected device is seen on your line again, we will not tell you.
stop-means-2 = Stopping the notices does not clean the device. You can still see the steps on this page.
stop-means-3 = Your contract and bill do not change. Contact the desk to get notices again at any time.
stop-button = Stop the notices
stop-back = Go back without stopping

# The first page
home-title = Notices about your line's safety
home-what-title = What this site is
home-what = Here your Internet provider shows you what was seen, and what to do, when traffic from your line looks like that of an infected device.
home-how = A page opens by the link or the code in your own notice. There is nothing else to enter here.
home-code-title = Open the page of your notice
home-code-label = Code (16 characters, in the notice)
home-code-hint = For example 7ZQK-M2RX-0WT4-HB9C. Capitals and hyphens do not matter.
home-code-button = Open the page
home-code-wrong = There is no notice with this code. Check the code in the notice and type it again.
home-code-old = This code has expired. To see the steps, give the desk the reference in the notice.
home-genuine-title = How to check that a notice is genuine
home-genuine-1 = Do not use links or telephone numbers in the notice. Search for your provider's website yourself, or look at your contract or bill, and find the desk's telephone number there.
home-genuine-2 = Give the desk the reference in the notice.
home-genuine-3 = A genuine notice has no file attached, and never asks for a password or payment data, to buy software, or to let somebody control your computer.

# What anybody may know: numbers of uses of communications data
open-title = How many subscribers were affected
open-lead = To tell subscribers about infected devices, { $operator } has to use communications data. Every use is by a written measure, is decided by rules, and is recorded before it happens. These are the numbers since the record began.
open-small = Numbers below { $k } are shown only as “fewer than { $k }”, so that nobody can be identified. None is shown as 0.
open-counted = Counted are the first { $counted } entries of the record.
open-measure = Measure
told-fewer = fewer than { $k }
told-permits = Permits given
told-looks = Looks at sealed data
told-subscribers = Different subscribers found
told-notices = Notices sent
told-opt-outs = Stopped because the subscriber does not want notices
open-refused = Refused by the rules
open-refused-none = Nothing was refused.
open-rule = Rule
open-unknown-title = Measures that do not exist
open-unknown = Requests that named no existing measure are all refused. Number:
open-words-title = What these words mean
open-words-permit = A permit is the rules' leave for one purpose, for at most 15 minutes. Several looks may follow from it.
open-words-look = A look is one opening of sealed records, such as who held an address at a time. It is counted whether or not anybody was found.
open-words-subscriber = Subscribers are counted by keyed hashes of their contracts. The record holds no names, addresses or contract numbers.
open-words-refusal = A refusal is a use that was asked for and not allowed. Nothing was opened.
open-log-title = How to check the record
open-log = The record is an append-only log of { $entries } entries. Whoever kept an earlier signed state can show it if entries were removed or changed later.
open-log-empty = Nothing was recorded yet.
open-checkpoint = The newest signed state
open-checkpoint-keep = Keep a copy of it, with the day.
open-key = The public key
open-check = How to check
open-check-1 = Anybody: ask the desk for the proof that the record has only grown since the state that you kept. It shows no entry.
open-check-2 = Auditors are given the record itself, a folder of files after the open specification C2SP tlog-tiles. Any program that implements it can check that it is whole, is signed with the key, and continues the state that they kept.

# Before a site opens that is on a list
warned-title = We stopped this site before it opened: it may be dangerous
warned-lead = This is { $operator }. The site that you were about to open is on a list of dangerous sites. Nothing of it has been loaded yet.
warned-what-title = What site it is
warned-site = Its name
warned-reason = Why
warned-reason-malware = It is said to spread malware (malicious software, such as viruses). Opening it may be enough to be infected.
warned-reason-phishing = It is said to look like a real site in order to steal passwords or card numbers (phishing).
warned-reason-c2 = It is said to give orders to infected devices. If you did not mean to open it, one of your devices may be infected.
warned-reason-other = It is said to do harm to its visitors.
warned-listed-by = Listed by
warned-since = Since
warned-do-title = What to do
warned-do-1 = Close this page or go back.
warned-do-2 = If a link in a mail or message led you here, delete it. Look after the matter in the official app or by your own bookmark.
warned-do-3 = If you have ever entered a password or card number there, change the password or call the card's company.
warned-go-title = If you want to open it all the same
warned-go = Press this, and { $site }, and nothing else, opens from this line without a warning for { $minutes } min. Nobody has checked that it is safe.
warned-go-button = I know the risk: open it
warned-object-title = If you think the list is wrong
warned-object = Lists can be wrong. If you run the site, or think so, tell us its name.
warned-why-title = Why you see this page
warned-why-consent = By the consent in your contract, the name of a site that you open is compared with the list of dangerous sites, and this page is shown when it is on it. Of sites that are not on it nothing is recorded. You may withdraw the consent at any time: contact the desk below.
warned-why-other = Whoever runs this network has decided that this page is shown for names that are on a list of dangerous sites. Of sites that are not on it nothing is recorded.
unwarned-title = There is nothing to tell about this site
unwarned-what = This server shows a notice before a dangerous site opens. The name that you asked for is on no list now.
unwarned-do = If it has just been taken off a list, wait a minute and open it again.

# When a page cannot be shown: what it is, what that means, what to do
trouble-forged-title = This link does not open a page
trouble-forged-what = A part of the link may be missing or changed. Some mail programs cut long links.
trouble-forged-do = Copy the whole link from the notice and open it again. If that does not help, give your Internet provider's desk the reference in the notice.
trouble-expired-title = This link has expired
trouble-expired-what = For safety, the link of a notice opens only for some time. The records are still there.
trouble-expired-do = To see the steps, or if you worry about a device, give your Internet provider's desk the reference in the notice.
trouble-missing-title = There is no such page
trouble-missing-what = The address is wrong, or the page is gone.
trouble-missing-do = Copy the whole link from the notice and open it again.
trouble-method-title = This cannot be done here
trouble-method-what = This address is not meant to be used that way. Nothing was changed.
trouble-method-do = Open the link in the notice again and use the buttons on the page.
trouble-large-title = Too much was sent
trouble-large-what = It was too large and was not read. Nothing was changed.
trouble-large-do = Open the link in the notice again and use the buttons on the page.
trouble-unavailable-title = The page cannot be shown right now
trouble-unavailable-what = The fault is on our side: the records cannot be read at the moment. Nothing was lost. If you have just pressed a button, it may not have been counted.
trouble-unavailable-do = Wait a minute and open it again. If this goes on, contact your Internet provider's desk.
trouble-fast-title = Too many requests from your network
trouble-fast-what = More pages were asked for from your network's address at once than we answer. This may be somebody else who shares the address, or a program.
trouble-fast-do = Wait ten seconds and open it again.

# The walled garden
garden-title = Your line reaches only a few pages for now
garden-lead = This is { $operator }. We told you that a device on your line seems to be infected, and it goes on. So that nobody is harmed, your line reaches only the pages that help, until it is solved. Emergency calls work. This is not about a bill or a penalty.
garden-out-title = How to get out
garden-out = Enter the code of our notice (in the mail, the letter or the message). The page that opens has the steps, and a button that lifts the restriction.
garden-ask = If you have no code, call the desk. They know what to do, and can lift the restriction.
garden-notice-title = Your line reaches only a few pages for now
garden-notice = Take the steps below, then lift the restriction here. It ends by itself on { $garden-until } at the latest.
garden-leaving = The restriction is being lifted. That takes up to a minute; restart your router if it takes longer.
garden-release-hint = You can do this { $left } more times. If the device is still infected, the restriction may come back.
garden-release-button = I took the steps: lift the restriction
garden-none-left = You have lifted it as often as is possible here. Call the desk below; they help you, and lift it.

# Cleaners, checking again, people who help
cleaner-title = A program that removes it
cleaner-hint = Free of charge. Compare the long number (SHA-256) with that of the file you got: if they are the same, nobody has changed it.
cleaner-button = Get
check-title = Was it seen again?
check-hint = You can ask as often as you like. It is answered from what was reported to { $operator }; your devices are not looked into.
check-button = Check now
checked-seen = It was last seen on { $last-seen }. If you took the steps after that, wait a day and check again; else please take them now.
checked-not-seen = It has not been seen since { $last-seen }, and would have been: others were seen until { $watched }. After { $days } days without it the matter is closed.
checked-unknown = Nobody can say yet. It was last seen on { $last-seen }, and since then nothing was reported of anybody. Check again in a few days.
helpers-title = People who help
