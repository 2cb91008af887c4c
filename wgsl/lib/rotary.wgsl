// cos and sin of an angle of any size. The angle is first brought below pi by subtracting whole turns in three parts, the first
// of which is exact: fast sines are only right near zero, and positions reach 131072.
fn turn(angle: f32) -> vec2<f32> {
    let turns = round(angle * 0.15915494309189535);
    var r = fma(-turns, 6.28125, angle);
    r = fma(-turns, 0.0019350051879882812, r);
    r = fma(-turns, 3.019916050561733e-7, r);
    return vec2<f32>(cos(r), sin(r));
}
