# 取り込み
intake-title = 取り込み
intake-lead = 読み込んだすべての記録がどうなったかを示します。件数は必ず合います。読み込み = 保存 + 重複 + 除外 + 隔離。
intake-none = まだ何も読み込まれていません。フィードを読み込むと、ここに一行ずつ表示されます。
intake-feed = フィード
intake-kind = 種類
intake-read = 読み込み
intake-stored = 保存
intake-duplicate = 重複
intake-filtered = 除外
intake-quarantined = 隔離
intake-adds-up = 件数の一致
intake-yes = 一致
intake-no = 不一致: 記録が失われています
intake-hour = 直近1時間
intake-day = 直近24時間
intake-last = 最終読み込み
intake-all = 全フィード
credits-title = イベントの補完に使う表
credits-lead = ネットワーク、国、警告リストは、次の表から調べています。
credits-none = お使いの表だけを使っています。
languages = このページの言語
as-json = JSON で表示
