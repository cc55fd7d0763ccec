# Plain Japanese: short sentences, everyday words, hard words with their reading. What is not here is said as in ja.
language-name = やさしい日本語
site = インターネットの 安全(あんぜん)の お知らせ
skip = 本文へ
languages = ことば
foot = この ページで 名前・パスワード・お金の ことを 聞くことは ありません。Cookie(クッキー)も 使いません。

# The notice
notice-title = あなたの インターネットの 機械(きかい)に ウイルスが いるかもしれません
notice-lead = { $operator } です。お金や 罰(ばつ)の お知らせでは ありません。下に 書いてある ことを すると、たいてい 自分で なおせます。
reference = 番号
what-title = わかったこと
what-when = 日と 時間(日本の 時間)
what-address = IPアドレス(インターネットの 住所)
what-device = どんな 機械か(たぶん)
what-malware = 悪い ソフトウェアの 名前
malware-means = 悪い ソフトウェアは、コンピューターの ウイルスなどです。「マルウェア」と 言います。
what-total = 何回 あったか
what-times = { $count } 回
what-listed = 新しい ものから { $listed } 回を 書いています。
what-none = 日と 時間の 記録(きろく)は もう ありません。古くなったので 消しました。
what-unsure = どの 機械かは 外からは わかりません。あなたの インターネット(Wi-Fiも)に つながっている 機械を ぜんぶ 見てください。
about-title = どういうことですか
steps-title = してほしいこと
steps-offer = { $steps } つ あります。1つずつ してください。
steps-button = やりかたを 見る
steps-tick = できた
steps-tick-note = 「できた」の しるしは この 画面だけの ものです。どこにも 送りません。
done-button = 終わりました
done-hint = ぜんぶ 終わったら 押してください。{ $operator } には、押した ことだけが わかります。
links-title = ほかの こと
go-genuine = この 知らせが 本物か たしかめる
go-ask = 人に 聞く
go-stop = この お知らせを 止める
why-title = どうして { $operator } が 知らせるのですか
why-takedown-notice = 警察(けいさつ)などが、悪い ことに 使われていた コンピューターを 止めました。その 記録に、あなたの IPアドレスが ありました。あなたの 機械を 守るために、IPアドレスと 時間だけを 使って、あなたの 契約(けいやく)を さがしました。この お知らせの ためだけに 使います。
why-infection-notice = 悪い 通信(つうしん)を 調べている 団体(だんたい)から、知らせが ありました。あなたの 契約に「調べても いい」と 書いてあります。IPアドレスと ポート番号と 時間だけを 使って、あなたの 契約を さがしました。この お知らせの ためだけに 使います。「調べないで ください」と いつでも 言えます。
why-other = 法律(ほうりつ)で していい ことだけを しました。必要な ことだけを 使って、あなたの 契約を さがしました。この お知らせの ためだけに 使います。理由は 下の ところで 聞いてください。
genuine-title = この 知らせが 本物か たしかめる
genuine-1 = この ページを 閉じます。{ $operator } の ホームページを 自分で さがします。または、契約の 紙を 見ます。そこで 電話番号を さがします。
genuine-2 = 電話で、番号 { $number } を 言います。同じ 話が 聞けたら、本物です。
genuine-3 = この ページは、パスワードや お金の ことを 聞きません。「ソフトウェアを 買ってください」「あなたの パソコンを さわらせてください」と 言いません。言われたら、にせものです。
ask-title = 人に 聞く
ask-hint = 番号 { $number } を 言うと、話が はやいです。
valid-until = この ページは { $until } まで 見ることが できます。
valid-open = この ページは、しばらくの あいだ、何回でも 見ることが できます。

# Where it stands
state-done-title = 連絡(れんらく) ありがとうございました
state-done = 「終わりました」を 受けとりました。{ $days } 日の あいだ 同じ 通信が なければ、終わりです。もし また あったら、もう 一度 知らせます。
state-clean-title = 同じ 通信は なくなりました
state-clean = { $days } 日の あいだ、同じ 通信は ありません。まだ 下の ことを していない 人は、してください。また 入らないように するためです。
state-stopped-title = この お知らせを 止めました
state-stopped = この お知らせは もう 来ません。でも、下の ことを するまで、ウイルスは 機械の 中に います。また 知らせてほしい ときは、下の ところに 言ってください。

# Stopping
stop-title = この お知らせを 止めますか
stop-means-1 = これから、おかしな 通信が あっても、知らせません。
stop-means-2 = 止めても、ウイルスは 機械の 中に います。やりかたは この ページで 見ることが できます。
stop-means-3 = 契約や お金は 変わりません。電話を すると、いつでも また 始められます。
stop-button = 止める
stop-back = 止めないで もどる

# The first page
home-title = インターネットの 安全の お知らせ
home-what-title = この サイトは 何ですか
home-what = あなたの インターネットの 会社が、あなたの インターネットで おかしな 通信を 見つけた とき、その 話と やりかたを 見せる サイトです。
home-how = お知らせに 書いてある リンクか コードで 見ることが できます。ほかに 書くものは ありません。
home-code-title = コードで 開く
home-code-label = コード(お知らせに 書いてある 16の 文字)
home-code-hint = 例(れい) 7ZQK-M2RX-0WT4-HB9C。大きい 文字でも 小さい 文字でも いいです。「-」は なくても いいです。
home-code-button = ページを 開く
home-code-wrong = この コードの お知らせは ありません。お知らせの コードを もう 一度 見てください。
home-code-old = この コードは 古いです。やりかたを 見たい ときは、インターネットの 会社に 電話して、番号を 言ってください。
home-genuine-title = お知らせが 本物か たしかめる
home-genuine-1 = お知らせの リンクや 電話番号は 使いません。会社の ホームページを 自分で さがします。または、契約の 紙を 見ます。そこで 電話番号を さがします。
home-genuine-2 = 電話で、お知らせに 書いてある 番号を 言います。
home-genuine-3 = 本物の お知らせは、ファイルを つけません。パスワードや お金の ことを 聞きません。「ソフトウェアを 買ってください」「あなたの パソコンを さわらせてください」と 言いません。

# Before a site opens that is on a list
warned-title = あぶない サイトかもしれません。まだ 開いて いません
warned-lead = { $operator } です。あなたが 開こうと した サイトは、あぶない サイトの リストに あります。まだ 何も 読んで いません。
warned-what-title = どんな サイトですか
warned-site = サイトの 名前
warned-reason = 理由(りゆう)
warned-reason-malware = ウイルスなどの 悪い ソフトウェアを 広げる サイトです。開いただけで ウイルスが 入ることが あります。
warned-reason-phishing = 本物の サイトと 同じように 見えます。でも、パスワードや カードの 番号を ぬすむ サイトです。
warned-reason-c2 = ウイルスに 命令(めいれい)を 出す サイトです。自分で 開いて いないときは、あなたの 機械に ウイルスが いるかもしれません。
warned-reason-other = 見た 人に 悪い ことを する サイトです。
warned-listed-by = リストに 書いた ところ
warned-since = いつから
warned-do-title = してほしいこと
warned-do-1 = この ページを 閉じるか、前の ページに 戻って ください。
warned-do-2 = メールや SMS の リンクを 押して 来たときは、その メールや SMS を 消して ください。
warned-do-3 = この サイトに パスワードや カードの 番号を 入れたことが ある人は、パスワードを 変えて ください。カードの 会社に 電話して ください。
warned-go-title = それでも 開きたいとき
warned-go = 押すと、あなたの インターネットで { $site } だけが { $minutes } 分の 間 開きます。安全かどうかは わかりません。
warned-go-button = あぶなくても 開く
warned-object-title = リストが まちがっていると 思うとき
warned-object = リストが まちがっていることも あります。サイトの 名前を 教えて ください。
warned-why-title = どうして この ページが 出るのですか
warned-why-consent = あなたの 契約(けいやく)に「調べても いい」と 書いてあります。開こうと した サイトの 名前を、あぶない サイトの リストと くらべます。リストに あるときだけ、この ページを 出します。リストに ない サイトの ことは 書いて 残しません。「調べないで ください」と いつでも 言えます。下の ところに 言って ください。
warned-why-other = この ネットワークの 会社が、あぶない サイトの リストに ある 名前のときに、この ページを 出します。リストに ない サイトの ことは 書いて 残しません。
unwarned-title = この サイトの お知らせは ありません
unwarned-what = ここは、あぶない サイトを 開く 前に お知らせを 出す ところです。その 名前は、今 リストに ありません。
unwarned-do = 1分 待ってから、もう一度 開いて ください。

# When a page cannot be shown: what it is, what that means, what to do
trouble-forged-title = この リンクでは ページが 開きません
trouble-forged-what = リンクの 一部が ないか、変わっているかもしれません。メールの ソフトウェアが 長い リンクを 切ることが あります。
trouble-forged-do = お知らせの リンクを ぜんぶ コピーして、もう 一度 開いてください。それでも 開かない ときは、インターネットの 会社に 電話して、お知らせの 番号を 言ってください。
trouble-expired-title = この リンクは 古いです
trouble-expired-what = 安全の ために、リンクが 使える 日は 決まっています。記録は なくなっていません。
trouble-expired-do = やりかたを 見たい ときや、心配な ときは、インターネットの 会社に 電話して、お知らせの 番号を 言ってください。
trouble-missing-title = この ページは ありません
trouble-missing-what = アドレスが まちがっているか、ページが なくなりました。
trouble-missing-do = お知らせの リンクを ぜんぶ コピーして、もう 一度 開いてください。
trouble-unavailable-title = 今は 見ることが できません
trouble-unavailable-what = こちらの 理由で、記録が 読めません。記録は なくなっていません。ボタンを 押した すぐ あとなら、まだ 受けとっていないかもしれません。
trouble-unavailable-do = 1分くらい 待って、もう 一度 開いてください。まだ だめな ときは、インターネットの 会社に 電話してください。
trouble-fast-title = 回数が 多すぎます
trouble-fast-what = あなたの 回線から、一度に たくさん ページを 見ようと しました。ほかの 人や、プログラムが しているかもしれません。
trouble-fast-do = 10秒くらい 待って、もう 一度 開いてください。

# 接続先の一時制限
garden-title = あなたの インターネットは、今 少しの ページだけ 見ることが できます
garden-lead = { $operator } です。あなたの 機械(きかい)に ウイルスが いるかもしれないと お知らせしました。まだ 続いています。ほかの 人に うつらないように、助けの ページだけ 見ることが できるように しました。救急(きゅうきゅう)や 警察(けいさつ)には 電話できます。お金の 話では ありません。
garden-out-title = 元に もどす やりかた
garden-out = お知らせ(メール・手紙)に 書いてある コードを ここに 書いてください。やりかたと、元に もどす ボタンの ある ページが 開きます。
garden-ask = コードが わからない ときは、電話してください。手伝います。元に もどすことも できます。
garden-notice-title = あなたの インターネットは、今 少しの ページだけ 見ることが できます
garden-notice = 下の やりかたを してから、ここで 元に もどしてください。{ $garden-until } には、自動で 元に もどります。
garden-leaving = 元に もどしています。1分ぐらい かかります。もっと かかる ときは、ルーターを 切って、もう一度 つけてください。
garden-release-hint = あと { $left } 回、自分で もどすことが できます。ウイルスが まだ いる ときは、また 少しの ページだけに なることが あります。
garden-release-button = やりました。元に もどす
garden-none-left = ここで もどすことが できる 回数を こえました。下に 電話してください。手伝って、元に もどします。

# 駆除ツール、再確認、相談先
cleaner-title = ウイルスを 消す ソフトウェア
cleaner-hint = お金は かかりません。下の 長い 番号(SHA-256)と、もらった ファイルの 番号を 比べてください。同じなら、本物です。
cleaner-button = もらう
check-title = ウイルスは まだ いますか
check-hint = 何回でも 聞くことが できます。{ $operator } に 来た 知らせから 答えます。あなたの 機械(きかい)の 中は 見ません。
check-button = 今 しらべる
checked-seen = 最後に 見たのは { $last-seen } です。その 後に やりかたを した 人は、1日 待って、もう一度 しらべてください。まだの 人は、今 してください。
checked-not-seen = { $last-seen } の 後は、見ていません。ほかの 人は { $watched } まで 見ています。だから、まだ いれば わかります。{ $days } 日 見なければ、終わりです。
checked-unknown = まだ わかりません。最後に 見たのは { $last-seen } です。その 後は、だれの 知らせも 来ていません。何日か 待って、もう一度 しらべてください。
helpers-title = 手伝って くれる 人
