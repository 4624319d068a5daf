; Signatures for the reference captures, in p0f 3's notation. Made up for them, not collected.

classes = win,unix,other

[tcp:request]

label = s:win:Windows:10
sig   = *:128:0:*:mss*44,8:mss,nop,ws,nop,nop,sok:df,id+:0

; A suffix as p0f-k's database has it: part of the label like any other text.
label = s:unix:Linux:5.x[7,2,0]
sig   = *:64:0:*:mss*20,7:mss,sok,ts,nop,ws:df,id+,flow:0

label = s:other:Controller:
sig   = *:255:0:*:4096,0:mss:df,id+:0

; Generic: only where nothing else fits.
label = g:unix:Linux:generic
sig   = *:64:0:*:*,*:mss,sok,ts,nop,ws:df,id+:0

[tcp:response]

label = s:unix:Linux:5.x[7,2,0]
sig   = *:64:0:*:mss*20,7:mss,sok,ts,nop,ws:df:0
