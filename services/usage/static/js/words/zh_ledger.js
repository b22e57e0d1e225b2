// The page in Chinese: what the ledger itself says, in its advice, its alerts and its methods.

export const ledgerWords = {
  "Use {model} instead of {instead_of} for {function}": "“{function}”可用 {model} 代替 {instead_of}",
  "Use {model} instead of {instead_of} for calls without a function":
    "未标功能的调用可用 {model} 代替 {instead_of}",
  "{model} succeeded in {rate} of {calls} calls, {instead_of} in {rate_now} of {calls_now}. The same tokens at its price would have cost {cost_then} instead of {cost_now}.":
    "{model} 的 {calls} 次调用成功率为 {rate}，{instead_of} 的 {calls_now} 次为 {rate_now}。同样的 Token 按其价格只需 {cost_then}，而不是 {cost_now}。",
  "Tokens of the dearer model re-priced at the cheaper one without a cache; only where the lower 90 % bound of its success rate is at most 2 points below. The answers' quality was not compared.":
    "把较贵模型的 Token 按较便宜模型的无缓存价格重新计价；仅当其成功率的 90% 置信下限最多低 2 个百分点时才建议。未比较答案质量。",
  "Let {model} read repeated input from its cache": "让 {model} 从缓存读取重复的输入",
  "{calls} calls sent {tokens} input tokens each on average, and {share} of them came from the cache. Constant parts belong at the beginning.":
    "{calls} 次调用平均每次发送 {tokens} 个输入 Token，其中 {share} 来自缓存。不变的部分应放在开头。",
  "Half of the fresh input priced as cache reads; the range is a fifth to four fifths of it.":
    "把未缓存输入的一半按缓存读取价计算；区间为其五分之一到五分之四。",
  "Answers that were paid for and lost": "付了费却没有得到的答案",
  "{calls} of {attempts} attempts did not end well ({told}): {cost}.":
    "{attempts} 次尝试中有 {calls} 次未正常结束（{told}）：{cost}。",
  "Booked cost of attempts that ended as error, aborted or interrupted; not all can be avoided.":
    "以错误、中止或中断结束的尝试的入账费用；并非全部可以避免。",
  "{budget}: {spent} of {limit} spent, {threshold} reached": "{budget}：已花费 {spent} / {limit}，达到 {threshold}",
  "Calls of {model} came without a split of their tokens, or in a bucket or currency that has no price: what they cost is missing from every total":
    "{model} 的调用未区分输入与输出 Token，或其类别、币种没有价格：其费用未计入任何合计",
  "{model} has no price: what it costs is missing from every total": "{model} 没有价格：其费用未计入任何合计",
  "Actual cost so far, plus for every remaining day the exponentially smoothed level (half-life 10 days) times that weekday's factor. The range is as wide as four fifths of the same method's errors over past spans as long as the rest.":
    "迄今的实际费用，加上剩余每天的指数平滑水平（半衰期 10 天）乘以该星期几的系数。区间宽度取同一方法在过去等长时段上五分之四误差的范围。",
};
