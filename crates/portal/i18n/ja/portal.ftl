# Every page
language-name = 日本語
site = 通信の安全に関するお知らせ
skip = 本文へ進む
languages = 言語
foot = このサイトが個人情報・パスワード・お支払いの入力をお願いすることはありません。Cookie も使いません。
foot-made = 狼煙(noroshi)で作成しています。

# The notice
notice-title = お使いの回線から、ウイルスに感染した機器のものと思われる通信が確認されました
notice-lead = { $operator } です。料金や罰則に関するお知らせではありません。下の手順で、多くの場合ご自身で解消できます。
reference = 受付番号
what-title = 確認された内容
what-when = 日時(日本時間)
what-address = IPアドレス
what-device = 機器の種類(推定)
what-malware = マルウェアの名前
malware-means = マルウェアとは、ウイルスなどの悪意のあるソフトウェアのことです。
what-total = 確認された回数
what-times = { $count } 回
what-listed = 新しいものから { $listed } 件を表示しています。
what-none = 個々の日時の記録は、保存期間を過ぎたため残っていません。
what-unsure = どの機器かまでは、外からは分かりません。同じ回線(Wi-Fi を含む)につながる機器をご確認ください。
about-title = どういうことか
steps-title = していただきたいこと
steps-offer = { $steps } つの手順です。1つずつ、順に進めてください。
steps-button = 手順を見る
steps-tick = できた
steps-tick-note = 「できた」の印はこの画面だけのもので、どこにも送られません。
done-button = 対応しました
done-hint = 手順が終わったら押してください。押したことだけが { $operator } に伝わります。
links-title = そのほか
go-genuine = この連絡が本物か確かめる
go-ask = 人に相談する
go-stop = お知らせの配信を停止する
why-title = なぜ { $operator } が知らせるのか
why-takedown-notice = 警察等により停止された攻撃用サーバーの記録に、お客様の回線のIPアドレスがありました。感染の被害を防ぐための緊急避難として、IPアドレスと時刻だけを使って契約を確認し、このお知らせにだけ使います。
why-infection-notice = 感染した機器の通信を観測している機関から情報を受けました。契約約款の同意に基づき、IPアドレス・ポート番号と時刻だけを使って契約を確認し、このお知らせにだけ使います。同意はいつでも取り消せます。
why-other = 法令で認められた範囲で、必要な情報だけを使って契約を確認し、このお知らせにだけ使います。根拠は下の窓口でお尋ねください。
genuine-title = この連絡が本物か確かめるには
genuine-1 = このページを閉じて、{ $operator } のホームページをご自分で検索するか、契約書・請求書を見て、窓口の電話番号を調べます。
genuine-2 = 窓口に、受付番号 { $number } をお伝えください。同じ内容をご案内できれば本物です。
genuine-3 = このページは、パスワードや支払い情報の入力、ソフトウェアの購入、遠隔操作をお願いしません。求められたら偽物です。
ask-title = 人に相談する
ask = { $desk }
ask-hint = 受付番号 { $number } をお伝えいただくと、話が早く進みます。
valid-until = このページは { $until } まで開けます。
valid-open = このページは、しばらくの間、何度でも開けます。

# Where it stands
state-done-title = ご連絡ありがとうございました
state-done = 「対応しました」を受け付けました。{ $days } 日間、同じ通信が確認されなければ完了です。もし再び確認された場合は、もう一度お知らせします。
state-clean-title = 同じ通信は確認されなくなりました
state-clean = { $days } 日間、同じ通信は確認されていません。手順がまだの場合は、再び感染しないよう、下の手順を行ってください。
state-stopped-title = お知らせの配信を停止しました
state-stopped = このようなお知らせはもう届きません。機器の感染は、手順を行うまで残ります。再開したいときは、下の窓口にご連絡ください。

# Stopping
stop-title = お知らせの配信を停止しますか
stop-means-1 = 今後、お使いの回線で感染が疑われる通信が確認されても、お知らせしません。
stop-means-2 = 機器の感染は、停止しても残ります。手順はこれまでどおりこのページで見られます。
stop-means-3 = 契約や料金には影響しません。窓口に連絡すれば、いつでも再開できます。
stop-button = 配信を停止する
stop-back = 停止せずに戻る

# The first page
home-title = 通信の安全に関するお知らせ
home-what-title = このサイトについて
home-what = ご契約のインターネット接続事業者が、お使いの回線から感染した機器のものと思われる通信を確認したときに、内容と対処の手順をお見せするサイトです。
home-how = ページは、お知らせに書かれた専用のリンクか、コードで開けます。ほかに入力していただくものはありません。
home-code-title = お知らせのコードで開く
home-code-label = コード(お知らせに書かれた16文字)
home-code-hint = 例 7ZQK-M2RX-0WT4-HB9C。大文字・小文字、ハイフンの有無は問いません。
home-code-button = ページを開く
home-code-wrong = このコードのお知らせはありません。お知らせのコードをもう一度お確かめください。
home-code-old = このコードの期限が過ぎました。手順を見たいときは、窓口に受付番号をお伝えください。
home-genuine-title = お知らせが本物か確かめるには
home-genuine-1 = お知らせの中のリンクや電話番号は使わず、事業者のホームページをご自分で検索するか、契約書・請求書を見て、窓口の電話番号を調べます。
home-genuine-2 = 窓口に、お知らせに書かれた受付番号を伝えます。
home-genuine-3 = 本物のお知らせは、ファイルを添付せず、パスワードや支払い情報の入力、ソフトウェアの購入、遠隔操作を求めません。

# What anybody may know: numbers of uses of communications data
open-title = 通信データの取扱いの公表(対象となった契約者の数)
open-lead = 感染した機器についてお知らせするため、{ $operator } は通信に関するデータを使うことがあります。使うときは必ず、書面で定めた措置に基づき、規則による判断を受け、使う前に記録します。以下は記録を始めてからの数です。
open-small = 個人が特定されないよう、{ $k } 未満の数は「{ $k } 未満」とだけ表示します。ない場合は 0 と表示します。
open-counted = 記録の最初から { $counted } 件を数えています。
open-measure = 措置
told-fewer = { $k } 未満
told-permits = 許可した回数
told-looks = 封印したデータを開いた回数
told-subscribers = 確認した契約者の数(重複を除く)
told-notices = 送ったお知らせの数
told-opt-outs = 契約者の希望により取りやめた回数
open-refused = 規則により拒否したもの
open-refused-none = 拒否したものはありません。
open-rule = 規則
open-unknown-title = 存在しない措置
open-unknown = 存在しない措置による求めは、すべて拒否しています。その数:
open-words-title = 用語の説明
open-words-permit = 「許可」は、1つの目的について規則が認めた最長15分間の許しです。1つの許可で複数回開くことがあります。
open-words-look = 「開いた回数」は、ある時刻にIPアドレスを使っていた契約など、封印した記録を開いた回数です。誰も見つからなかった場合も数えます。
open-words-subscriber = 契約者は、契約の鍵付きハッシュ値で数えます。記録には氏名・住所・契約番号を含みません。
open-words-refusal = 「拒否」は、求められたが認めなかったものです。何も開いていません。
open-log-title = 記録を確かめるには
open-log = 記録は { $entries } 件からなる追記専用のログです。以前の署名付きの状態を保管している人は、後から記録が削除・変更されたときに、それを示せます。
open-log-empty = まだ何も記録していません。
open-checkpoint = 最新の署名付きの状態
open-checkpoint-keep = 日付とともに写しを保管してください。
open-key = 公開鍵
open-check = 確かめ方
open-check-1 = どなたでも:保管した状態から追記だけが行われたことの証明を、窓口にお求めください。証明に記録の中身は含まれません。
open-check-2 = 監査を行う人には、記録そのもの(公開仕様 C2SP tlog-tiles によるファイル)を渡します。この仕様に対応したプログラムなら、どれでも、欠けがないこと、公開鍵による署名があること、保管した状態の続きであることを確かめられます。

# Before a site opens that is on a list
warned-title = 危険なおそれがあるため、サイトの表示を止めました
warned-lead = { $operator } です。お客様が開こうとしたサイトは、危険なサイトの一覧に載っています。サイトの中身は、まだ何も読み込まれていません。
warned-what-title = どういうサイトか
warned-site = サイトの名前
warned-reason = 理由
warned-reason-malware = マルウェア(ウイルスなどの悪意のあるソフトウェア)を広めるとされています。開いただけで感染することがあります。
warned-reason-phishing = 本物そっくりの画面で、パスワードやカード番号を盗むとされています(フィッシング)。
warned-reason-c2 = ウイルスに感染した機器に指令を出すサーバーとされています。開いた覚えがない場合は、お使いの機器が感染しているおそれがあります。
warned-reason-other = 利用者に害を与えるとされています。
warned-listed-by = 一覧に載せた機関
warned-since = 載った日時
warned-do-title = していただきたいこと
warned-do-1 = このページを閉じるか、前のページに戻ってください。
warned-do-2 = メールや SMS のリンクから来た場合は、そのメールや SMS を削除してください。用件は、公式のアプリやご自分のブックマークから確かめてください。
warned-do-3 = このサイトにパスワードやカード番号を入力したことがある場合は、パスワードの変更やカード会社への連絡をしてください。
warned-go-title = それでも開くとき
warned-go = 押すと、この回線では { $site } だけが { $minutes } 分間、この警告なしで開きます。中身の安全を確かめたわけではありません。
warned-go-button = 危険を承知で開く
warned-object-title = 一覧が誤りだと思うとき
warned-object = 一覧には誤りもありえます。サイトを運営している方、誤りだと思う方は、サイトの名前を添えてお知らせください。
warned-why-title = なぜこのページが出るのか
warned-why-consent = 契約約款の同意に基づき、開こうとするサイトの名前を危険なサイトの一覧と照らし合わせ、載っているときにだけ、このページを表示します。載っていないサイトの記録は残しません。同意はいつでも取り消せます。取り消すには、下の窓口にご連絡ください。
warned-why-other = このネットワークの運営者が、危険なサイトの一覧に載っている名前について、このページを表示することにしています。載っていないサイトの記録は残しません。
unwarned-title = このサイトについてのお知らせはありません
unwarned-what = ここは、危険なサイトを開く前にお知らせを表示するサーバーです。お尋ねの名前は、いま一覧に載っていません。
unwarned-do = 一覧から外れたばかりの場合、1分ほど待ってから開き直すと、サイトが表示されます。

# When a page cannot be shown: what it is, what that means, what to do
trouble-forged-title = このリンクではページを開けません
trouble-forged-what = リンクの一部が欠けているか、変わっている可能性があります。メールソフトが長いリンクを途中で切ることもあります。
trouble-forged-do = お知らせのリンク全体をもう一度コピーして開いてください。それでも開けないときは、ご契約のインターネット接続事業者の窓口に、お知らせの受付番号をお伝えください。
trouble-expired-title = このリンクの期限が過ぎました
trouble-expired-what = 安全のため、お知らせのリンクには期限があります。記録がなくなったわけではありません。
trouble-expired-do = 手順を見たいときや、機器が心配なときは、ご契約のインターネット接続事業者の窓口に、お知らせの受付番号をお伝えください。
trouble-missing-title = お探しのページはありません
trouble-missing-what = アドレスが違うか、ページがなくなりました。
trouble-missing-do = お知らせのリンク全体をもう一度コピーして開いてください。
trouble-method-title = この操作はできません
trouble-method-what = このアドレスは、そのような使い方には対応していません。何も変わっていません。
trouble-method-do = お知らせのリンクを開き直し、ページの中のボタンを使ってください。
trouble-large-title = 送られた内容が大きすぎます
trouble-large-what = 大きすぎるため読み取りませんでした。何も変わっていません。
trouble-large-do = お知らせのリンクを開き直し、ページの中のボタンを使ってください。
trouble-unavailable-title = 今はページを表示できません
trouble-unavailable-what = こちらの都合で、記録を読み取れません。記録は失われていません。ボタンを押した直後のときは、受け付けられていない可能性があります。
trouble-unavailable-do = 1分ほど待ってから、もう一度開いてください。続くときは、ご契約のインターネット接続事業者の窓口にご連絡ください。
trouble-fast-title = お使いの回線からのアクセスが多すぎます
trouble-fast-what = お使いの回線のアドレスから、一度にたくさんのページが求められました。アドレスを共用しているほかの方や、プログラムによるものかもしれません。
trouble-fast-do = 10秒ほど待ってから、もう一度開いてください。

# 接続先の一時制限
garden-title = お使いの回線の接続先を一時的に限っています
garden-lead = { $operator } です。お使いの回線の機器がウイルスに感染している疑いがあることをお知らせしましたが、その後も続いています。被害が広がらないよう、解決するまで、対策のご案内のページだけに接続できるようにしています。緊急通報はご利用いただけます。料金や罰則に関するものではありません。
garden-out-title = 制限を解除するには
garden-out = お知らせ(メール・手紙・メッセージ)に記載のコードを入力してください。手順と、制限を解除するボタンのあるページが開きます。
garden-ask = コードが分からないときは、窓口にお電話ください。手順をご案内し、制限を解除できます。
garden-notice-title = お使いの回線の接続先を一時的に限っています
garden-notice = 下の手順を行ってから、ここで制限を解除してください。遅くとも { $garden-until } には自動で解除されます。
garden-leaving = 制限を解除しています。1分ほどかかります。それ以上かかるときは、ルーターを再起動してください。
garden-release-hint = あと { $left } 回、ご自分で解除できます。感染が続いている場合は、再び制限されることがあります。
garden-release-button = 手順を行いました。制限を解除する
garden-none-left = ここで解除できる回数を超えました。下の窓口にお電話ください。ご案内のうえ解除します。

# 駆除ツール、再確認、相談先
cleaner-title = 駆除するためのプログラム
cleaner-hint = 無料です。下の長い番号(SHA-256)と、受け取ったファイルの番号を比べてください。同じなら、誰にも書き換えられていません。
cleaner-button = 受け取る
check-title = その後、確認されましたか
check-hint = 何度でもお確かめいただけます。{ $operator } に届いた情報からお答えするもので、お客様の機器の中を見ることはありません。
check-button = 今すぐ確かめる
checked-seen = 最後に確認されたのは { $last-seen } です。その後に手順を行った場合は、1日待ってからもう一度お確かめください。まだの場合は、今、手順を行ってください。
checked-not-seen = { $last-seen } を最後に、確認されていません。ほかの回線は { $watched } まで観測されているので、続いていれば分かるはずです。{ $days } 日間確認されなければ、完了となります。
checked-unknown = まだ判断できません。最後に確認されたのは { $last-seen } で、その後はどの回線についても情報が届いていません。数日後にもう一度お確かめください。
helpers-title = 相談できるところ
